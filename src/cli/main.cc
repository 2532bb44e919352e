// kiln: the operator's command. A table of contents: each command is a function of its own file.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "cli/commands.h"

namespace {

using namespace kiln::cli;

std::string default_data_directory() {
  const char* const set = std::getenv("KILN_DATA");
  return set != nullptr ? set : "/var/lib/kiln";
}

void add_place(CLI::App* command, Common& common) {
  command->add_option("--data", common.data_directory, "kilnd's data directory (or KILN_DATA)")->capture_default_str();
  command->add_option("--region", common.region, "region; the daemon's first one when not given");
  command->add_option("--account", common.account, "account, 12 digits; the daemon's first one when not given");
}

void add_import(CLI::App& app, Common& common, ImportOptions& options, int& exit_code) {
  auto* const import_command = app.add_subcommand("import", "store a disk image file and register it as an image");
  import_command->add_option("file", options.file, "the disk image")->required();
  import_command->add_option("--name", options.name, "the image's name, unique in its account")->required();
  import_command->add_option("--format", options.format,
                             "raw, qcow2, vmdk, vhd, vhdx or ova; when not given, what the file's ending says, or raw. "
                             "The content is never asked, and must agree");
  import_command->add_option("--description", options.description, "the image's description");
  import_command->add_option("--architecture", options.architecture, "x86_64 or arm64")->capture_default_str();
  import_command->footer(
      "Prints the image's id. Of an OVA, the one disk in it becomes the image.\n"
      "Examples:\n  AMI=$(kiln import disk.raw --name base)\n  kiln import appliance.ova --name appliance\n"
      "  kiln import download --format vmdk --name other\n");
  add_place(import_command, common);
  import_command->callback([&common, &options, &exit_code] { exit_code = import(common, options); });
}

void add_export(CLI::App& app, Common& common, ExportOptions& options, int& exit_code) {
  auto* const export_command = app.add_subcommand("export", "write a snapshot or an image's root disk to a file");
  export_command->add_option("id", options.id, "ami-... or snap-...")->required();
  export_command->add_option("--output", options.output, "the file to make")->required();
  export_command->add_option("--format", options.format,
                             "raw, qcow2, vmdk or vhd; when not given, what the output's ending says, or raw");
  export_command->add_flag("--force", options.force, "replace a file that is there");
  export_command->footer(
      "The file appears under its name when it is complete, and holes stay holes. Every block is verified.\n"
      "Examples:\n  kiln export ami-0123456789abcdef0 --output base.qcow2\n"
      "  kiln export snap-0123456789abcdef0 --format vhd --output disk.vhd\n");
  add_place(export_command, common);
  export_command->callback([&common, &options, &exit_code] { exit_code = export_disk(common, options); });
}

void add_verify(CLI::App& app, Common& common, int& exit_code) {
  auto* const verify_command = app.add_subcommand("verify", "hash again everything that is reachable");
  verify_command->footer("Exits with 1 when something cannot be read.\nExample: kiln verify\n");
  add_place(verify_command, common);
  verify_command->callback([&common, &exit_code] { exit_code = verify(common); });
}

void add_gc(CLI::App& app, Common& common, GcOptions& options, int& exit_code) {
  auto* const gc_command = app.add_subcommand("gc", "give back the space of what nothing refers to");
  gc_command->add_option("--grace", options.grace, "how long a pack stays condemned: 0, 15m, 1h, 7d")
      ->capture_default_str();
  gc_command->add_flag("--force", options.force, "also when more than a fifth of the store would go");
  gc_command->footer("Example: kiln gc --grace 0\n");
  add_place(gc_command, common);
  gc_command->callback([&common, &options, &exit_code] { exit_code = gc(common, options); });
}

void add_scrub(CLI::App& app, Common& common, bool& now, int& exit_code) {
  auto* const scrub_command = app.add_subcommand("scrub", "where the background scrub is, and what it found bad");
  scrub_command->add_flag("--now", now, "read every pack again at once");
  scrub_command->footer("Exits with 1 when something is bad.\nExample: kiln scrub --now\n");
  add_place(scrub_command, common);
  scrub_command->callback([&common, &now, &exit_code] { exit_code = scrub(common, now); });
}

void add_keys(CLI::App& app, Common& common, DeleteKeyOptions& options, int& exit_code) {
  auto* const keys_command = app.add_subcommand("keys", "list the keys of a region, or destroy one");
  keys_command->require_subcommand(0, 1);
  add_place(keys_command, common);
  auto* const delete_command = keys_command->add_subcommand("delete", "destroy a key and all that it encrypts");
  delete_command->add_option("key", options.key, "the key's id or ARN")->required();
  delete_command->add_flag("--now", options.now, "at once, without the days of waiting");
  delete_command->add_flag("--yes", options.yes, "it is meant");
  add_place(delete_command, common);
  keys_command->footer(
      "Material that no region knows is told on standard error.\nExamples:\n  kiln keys\n"
      "  kiln keys delete 1234abcd-12ab-34cd-56ef-1234567890ab --now --yes\n");
  keys_command->callback([&common, &options, &exit_code, delete_command] {
    exit_code = delete_command->parsed() ? delete_key(common, options) : keys(common);
  });
}

void add_share(CLI::App& app, Common& common, ShareOptions& options, int& exit_code) {
  auto* const share_command = app.add_subcommand("share", "let another account launch and copy an image");
  share_command->add_option("image", options.image, "the image's id")->required();
  share_command->add_option("--with", options.with, "the account, 12 digits")->required();
  add_place(share_command, common);
  share_command->footer(
      "Shares the image and the snapshots that it names. Exits with 1 when one of those is another account's.\n"
      "Example: kiln share ami-0123456789abcdef0 --with 222222222222\n");
  share_command->callback([&common, &options, &exit_code] { exit_code = share(common, options); });
}

void add_alias(CLI::App& app, Common& common, AliasOptions& options, int& exit_code) {
  auto* const alias_command = app.add_subcommand("alias", "name images for everybody: list, set, delete");
  alias_command->require_subcommand(1);
  auto* const list = alias_command->add_subcommand("list", "the aliases of a region");
  add_place(list, common);
  list->callback([&common, &exit_code] { exit_code = aliases(common); });
  auto* const set = alias_command->add_subcommand("set", "let an alias name an image");
  set->add_option("alias", options.alias, "the alias: debian-12 is /aws/service/kiln/debian-12")->required();
  set->add_option("image", options.image, "the image's id")->required();
  add_place(set, common);
  set->callback([&common, &options, &exit_code] { exit_code = set_alias(common, options); });
  auto* const remove = alias_command->add_subcommand("delete", "forget an alias and all that it named");
  remove->add_option("alias", options.alias, "the alias")->required();
  add_place(remove, common);
  remove->callback([&common, &options, &exit_code] { exit_code = delete_alias(common, options); });
  alias_command->footer(
      "Every account reads an alias as a parameter of Systems Manager, and launches by it.\n"
      "Examples:\n  kiln alias set debian-12 ami-0123456789abcdef0\n"
      "  aws ec2 run-instances --image-id resolve:ssm:/aws/service/kiln/debian-12\n");
}

void add_account(CLI::App& app, Common& common, AccountOptions& options, int& exit_code) {
  auto* const account_command = app.add_subcommand("account", "accounts: create, list, one more key");
  account_command->require_subcommand(1);
  const auto add_common = [&](CLI::App* command) {
    command->add_option("--data", common.data_directory, "kilnd's data directory (or KILN_DATA)")
        ->capture_default_str();
    command->add_option("--output", options.output, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
  };
  auto* const create = account_command->add_subcommand("create", "make an account, which can be used at once");
  create->add_option("--name", options.name, "its name, which no other has")->required();
  add_common(create);
  create->callback([&common, &options, &exit_code] { exit_code = create_account(common, options); });
  auto* const list = account_command->add_subcommand("list", "all accounts of this daemon");
  add_common(list);
  list->callback([&common, &options, &exit_code] { exit_code = accounts(common, options); });
  auto* const key = account_command->add_subcommand("key", "make one more key of an account's root user");
  key->add_option("id", options.id, "the account, 12 digits")->required();
  add_common(key);
  key->callback([&common, &options, &exit_code] { exit_code = account_key(common, options); });
  account_command->footer(
      "The secret is told this once. As text it is a section of a credentials file.\n"
      "Examples:\n  kiln account create --name build --output json\n"
      "  kiln account create --name build >> ~/.aws/credentials\n");
}

void add_audit(CLI::App& app, Common& common, AuditOptions& options, int& exit_code) {
  auto* const audit_command = app.add_subcommand("audit", "who asked the APIs for what, and what came of it");
  audit_command->add_option("--who", options.who, "part of the caller's ARN, or an access key");
  audit_command->add_option("--event", options.event, "the operation: RunInstances, or 'Delete*'");
  audit_command->add_option("--resource", options.resource, "an id or ARN that it was about");
  audit_command->add_option("--since", options.since, "how long ago at most: 15m, 1h, 7d");
  audit_command->add_flag("--refused", options.refused, "only what was refused or failed");
  audit_command->add_flag("--json", options.json, "the records as they are, a line each");
  add_place(audit_command, common);
  audit_command->footer(
      "Reads <data>/audit, oldest first; with --account or --region only theirs. Exits with 1 when it finds nothing.\n"
      "Examples:\n  kiln audit --since 1h --refused\n  kiln audit --event 'Deregister*' --resource "
      "ami-0123456789abcdef0\n"
      "  kiln audit --who user/alice --json | jq .requestParameters\n");
  audit_command->callback([&common, &options, &exit_code] { exit_code = audit(common, options); });
}

void add_api(CLI::App& app, bool& shapes, int& exit_code) {
  auto* const api_command = app.add_subcommand("api", "list every AWS operation that is served");
  api_command->add_flag("--shapes", shapes, "print the members of their requests and responses as JSON");
  api_command->footer("Example: kiln api | grep Image\n");
  api_command->callback([&shapes, &exit_code] { exit_code = api(shapes); });
}

void add_inspect(CLI::App& app, std::string& inspected, int& exit_code) {
  auto* const inspect_command = app.add_subcommand("inspect", "print what is in one of our files");
  inspect_command->add_option("file", inspected, "the file, or the directory of a volume or of the index")->required();
  inspect_command->footer(
      "Knows packs, VOLUME, map logs (gen-N.map), generations (gen-N.data), slots of the cache, the chunk index, the\n"
      "catalog, keys and lists of open volumes; docs/formats describes them. Exits with 1 when the file is damaged.\n"
      "Examples, in the directory of a region:\n"
      "  kiln inspect volumes/vol-0123456789abcdef0/VOLUME\n"
      "  kiln inspect volumes/vol-0123456789abcdef0/gen-1.map\n"
      "  kiln inspect volumes/vol-0123456789abcdef0/gen-1.data\n"
      "  kiln inspect store/packs/57/01890a5d-ac96-774b-bcce-b302099a8057.pack\n"
      "  kiln inspect store/index\n"
      "  kiln inspect cache/slots-1/3f/3f9c...\n"
      "  kiln inspect run/i-0123456789abcdef0/volumes.json\n");
  inspect_command->callback([&inspected, &exit_code] { exit_code = inspect(inspected); });
}

}  // namespace

int main(int count, char** arguments) {
  CLI::App app("kiln: machine images on your own hardware");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n  kiln import disk.raw --name base\n  kiln import disk.qcow2 --name base\n"
      "  kiln export ami-... --output base.vmdk\n  kiln usage\n  kiln gc --grace 0\n  kiln inspect "
      "/var/lib/kiln/regions/us-east-1/volumes/vol-.../VOLUME\n");
  Common common{.data_directory = default_data_directory(), .region = {}, .account = {}};
  int exit_code = 0;

  ImportOptions import_options;
  add_import(app, common, import_options, exit_code);

  ExportOptions export_options;
  add_export(app, common, export_options, exit_code);

  auto* const usage_command = app.add_subcommand("usage", "what images and snapshots take");
  usage_command->footer(
      "logical: size of the disk; data: without zeros; stored: in packs, deduplicated and compressed;\n"
      "exclusive: what deleting it would free.\nExample: kiln usage --region eu-west-1\n");
  add_place(usage_command, common);
  usage_command->callback([&] { exit_code = usage(common); });

  add_verify(app, common, exit_code);

  GcOptions gc_options;
  add_gc(app, common, gc_options, exit_code);

  bool scrub_all_now = false;
  add_scrub(app, common, scrub_all_now, exit_code);

  DeleteKeyOptions delete_key_options;
  add_keys(app, common, delete_key_options, exit_code);

  ShareOptions share_options;
  add_share(app, common, share_options, exit_code);

  AliasOptions alias_options;
  add_alias(app, common, alias_options, exit_code);
  AccountOptions account_options;
  add_account(app, common, account_options, exit_code);
  AuditOptions audit_options;
  add_audit(app, common, audit_options, exit_code);
  bool api_shapes = false;
  add_api(app, api_shapes, exit_code);

  std::string inspected;
  add_inspect(app, inspected, exit_code);

  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong);
  } catch (const std::exception& failure) {
    std::cerr << "kiln: " << failure.what() << "\n";
    return 1;
  }
  return exit_code;
}
