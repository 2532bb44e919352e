#include "services/operator/commands.h"

#include <boost/json.hpp>
#include <stdexcept>

#include "base/api_error.h"
#include "base/log.h"
#include "base/time.h"
#include "control/accounts.h"
#include "control/exports.h"
#include "control/garbage.h"
#include "control/image_aliases.h"
#include "control/images.h"
#include "control/imports.h"
#include "control/scrub.h"
#include "control/usage.h"
#include "images/format.h"
#include "services/operator/keys.h"

namespace kiln::services::operators {
namespace {

namespace json = boost::json;
using base::ApiError;

// One command in the middle of being answered.
struct Command {
  control::Region& region;
  control::Principal principal;
  const json::object& request;
  Channel& channel;
  const std::atomic<bool>& stopping;

  std::string text(const char* name, const std::string& otherwise = "") const {
    const json::value* const value = request.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : otherwise;
  }
  std::int64_t number(const char* name, std::int64_t otherwise) const {
    const json::value* const value = request.if_contains(name);
    return value != nullptr && value->is_int64() ? value->as_int64() : otherwise;
  }
  bool flag(const char* name) const {
    const json::value* const value = request.if_contains(name);
    return value != nullptr && value->is_bool() && value->as_bool();
  }
  bool go_on() const { return !stopping && !channel.closed_by_peer(); }
  void send(const char* kind, json::object content) const {
    channel.send(json::serialize(json::object{{kind, std::move(content)}}));
  }
};

json::object to_json(const control::ImportProgress& p) {
  return {{"done_bytes", p.done_bytes},   {"total_bytes", p.total_bytes},   {"new_bytes", p.new_bytes},
          {"known_bytes", p.known_bytes}, {"stored_bytes", p.stored_bytes}, {"bytes_per_second", p.bytes_per_second}};
}

void import(const Command& command) {
  const base::Fd file = command.channel.take_passed();
  if (!file) throw ApiError("MissingParameter", "the import came without its file");
  control::ImportRequest what{.name = command.text("name"), .description = command.text("description")};
  const auto format = command.text("format", "raw");
  const auto known = images::importable(format);
  if (!known) {
    throw ApiError("InvalidParameterValue",
                   "the format '" + format + "' is not known: raw, qcow2, vmdk, vhd, vhdx and ova are");
  }
  what.format = *known;
  what.architecture = command.text("architecture", "x86_64");
  what.boot_mode = command.text("boot_mode");
  what.expected_bytes = static_cast<std::uint64_t>(command.number("expected_bytes", 0));
  const auto made = control::import_image(command.region, command.principal, file.get(), what,
                                          [&](const control::ImportProgress& progress) {
                                            if (!command.go_on()) return false;
                                            command.send("progress", to_json(progress));
                                            return true;
                                          });
  auto answer = to_json(made.total);
  answer["image"] = made.image_id;
  answer["snapshot"] = made.snapshot_id;
  command.send("done", std::move(answer));
}

void export_to_file(const Command& command) {
  const base::Fd file = command.channel.take_passed();
  if (!file) throw ApiError("MissingParameter", "the export came without its file");
  const auto format = images::exportable(command.text("format", "raw"));
  if (!format) {
    throw ApiError("InvalidParameterValue",
                   "the format '" + command.text("format") + "' is not written: raw, qcow2, vmdk and vhd are");
  }
  const auto made = control::export_disk(
      command.region, command.principal, file.get(), {.id = command.text("id"), .format = *format},
      [&](const control::ExportProgress& progress) {
        if (!command.go_on()) return false;
        command.send(
            "progress",
            {{"step", progress.step}, {"done_bytes", progress.done_bytes}, {"total_bytes", progress.total_bytes}});
        return true;
      });
  command.send("done", {{"snapshot", made.snapshot_id},
                        {"disk_bytes", made.disk_bytes},
                        {"file_bytes", made.file_bytes},
                        {"allocated_bytes", made.allocated_bytes}});
}

json::object to_json(const blocks::RootUsage& bytes) {
  return {{"logical_bytes", bytes.logical_bytes},
          {"data_bytes", bytes.data_bytes},
          {"stored_bytes", bytes.stored_bytes},
          {"exclusive_bytes", bytes.exclusive_bytes}};
}

json::object to_json(const blocks::BadPlace& bad) {
  return {{"pack", bad.location.pack.text()},
          {"offset", bad.location.offset},
          {"kind", bad.location.kind == blocks::RecordKind::node ? "node" : "chunk"},
          {"id", bad.id.is_null() ? "" : bad.id.hex()},
          {"why", bad.why}};
}

void usage(const Command& command) {
  const auto usage = control::usage(command.region, [&] { return command.go_on(); });
  // Items go one a line: a region of many images does not fit into one.
  for (const auto& image : usage.images) {
    auto item = to_json(image.bytes);
    item["id"] = image.image.id;
    item["name"] = image.image.name;
    command.send("image", std::move(item));
  }
  for (const auto& snapshot : usage.snapshots) {
    auto item = to_json(snapshot.bytes);
    item["id"] = snapshot.snapshot.id;
    item["name"] = snapshot.snapshot.description;
    command.send("snapshot", std::move(item));
  }
  for (const auto& damaged : usage.damaged) {
    auto item = to_json(damaged.place);
    item["healed"] = damaged.healed;
    command.send("damaged", std::move(item));
  }
  for (const auto& tier : usage.damaged_archives) {
    command.send("damaged_archive", {{"id", tier.snapshot_id}, {"why", tier.damage}});
  }
  command.send("done", {{"logical_bytes", usage.logical_bytes},
                        {"archive_bytes", usage.archive_bytes},
                        {"store_bytes", usage.store_bytes},
                        {"live_bytes", usage.live_bytes},
                        {"condemned_bytes", usage.condemned_bytes},
                        {"volume_bytes", usage.volume_bytes},
                        {"free_bytes", usage.free_bytes}});
}

void verify(const Command& command) {
  std::uint64_t told = 0;
  const auto verified = control::verify(command.region, [&](const blocks::VerifyProgress& progress) {
    if (progress.plain_bytes - told >= (16U << 20)) {
      told = progress.plain_bytes;
      command.send("progress", {{"chunks", progress.chunks}, {"bytes", progress.plain_bytes}});
    }
    return command.go_on();
  });
  for (const auto& each : verified.bad) {
    command.send("bad", {{"root", each.root.owner},
                         {"chunk_index", each.bad.chunk_index},
                         {"id", each.bad.id.hex()},
                         {"lost", each.bad.lost},
                         {"why", each.bad.why}});
  }
  command.send("done", {{"roots", verified.roots},
                        {"chunks", verified.done.chunks},
                        {"nodes", verified.done.nodes},
                        {"bytes", verified.done.plain_bytes},
                        {"bad", verified.bad.size()}});
}

void gc(const Command& command) {
  const auto grace = command.number("grace_seconds", 3600);
  if (grace < 0) throw ApiError("InvalidParameterValue", "the grace is a number of seconds, 0 or more");
  const auto done = control::collect(
      command.region,
      {.grace = base::seconds(grace), .force = command.flag("force"), .go_on = [&] { return command.go_on(); }});
  command.send("done", {{"epoch", done.epoch},
                        {"roots", done.roots},
                        {"packs", done.packs},
                        {"bytes", done.bytes},
                        {"live_bytes", done.live_bytes},
                        {"condemned_packs", done.condemned_packs},
                        {"condemned_bytes", done.condemned_bytes},
                        {"compacted_packs", done.compacted_packs},
                        {"copied_bytes", done.copied_bytes},
                        {"revived_packs", done.revived_packs},
                        {"deleted_packs", done.deleted_packs},
                        {"deleted_bytes", done.deleted_bytes},
                        {"deleted_archives", done.deleted_archives},
                        {"deleted_archive_bytes", done.deleted_archive_bytes},
                        {"refused", done.refused}});
}

void scrub(const Command& command) {
  if (command.flag("now")) {
    control::ScrubProgress last;
    const auto found = control::scrub_now(command.region, [&](const control::ScrubProgress& progress) {
      last = progress;
      command.send("progress", {{"packs", progress.packs}, {"bytes", progress.bytes}});
      return command.go_on();
    });
    for (const auto& each : found.bad) command.send("bad", to_json(each));
    for (const auto& each : found.bad_archives) {
      for (const auto& bad : each.bad) {
        command.send("bad_archive", {{"id", each.snapshot_id}, {"offset", bad.offset}, {"why", bad.why}});
      }
    }
    command.send("done", {{"now", true},
                          {"packs", last.packs},
                          {"bytes", last.bytes},
                          {"records", last.records},
                          {"bad", found.bad.size() + found.bad_archives.size()}});
    return;
  }
  const auto state = control::scrub_state(command.region);
  const auto known = command.region.store.bad_records().list();
  for (const auto& each : known) command.send("bad", to_json(each));
  command.send("done", {{"now", false},
                        {"packs", state.packs},
                        {"bytes", state.bytes},
                        {"began_seconds", state.began / base::seconds(1)},
                        {"finished_seconds", state.finished / base::seconds(1)},
                        {"bad", known.size()}});
}

void keys(const Command& command) {
  list_keys(command.region, [&](const char* kind, json::object content) { command.send(kind, std::move(content)); });
  command.send("done", {});
}

void destroy_key(const Command& command) {
  command.send("done", {{"arn", delete_key(command.region, command.text("key"))}});
}

json::array to_json(const std::vector<std::string>& texts) {
  json::array list;
  for (const auto& text : texts) list.emplace_back(json::string(text));
  return list;
}

void share(const Command& command) {
  const auto storage = control::share_image_with_storage(command.region, command.text("image"), command.text("with"));
  command.send("done", {{"shared", to_json(storage.shared)},
                        {"of_others", to_json(storage.of_others)},
                        {"keys", to_json(storage.keys)}});
}

void alias(const Command& command) {
  const auto change = command.text("change", "list"), name = command.text("alias");
  if (change == "set") {
    const auto made = control::set_image_alias(command.region, command.principal, name, command.text("image"));
    command.send("done", {{"name", made.row.name}, {"version", made.row.version}, {"public", made.is_public}});
    return;
  }
  if (change == "delete") {
    if (!control::delete_image_alias(command.region, name)) {
      throw ApiError("ParameterNotFound", "there is no alias " + control::alias_parameter(name));
    }
    command.send("done", {{"name", control::alias_parameter(name)}});
    return;
  }
  for (const auto& row : control::image_aliases(command.region)) {
    command.send("alias", {{"name", row.name}, {"image", row.value}, {"version", row.version}});
  }
  command.send("done", {});
}

void account(const Command& command) {
  const auto change = command.text("change", "list");
  const auto send_key = [&](const std::string& id, const std::string& name, const control::NewAccessKey& key) {
    command.send("done", {{"id", id}, {"name", name}, {"access_key", key.id}, {"secret_key", key.secret}});
  };
  if (change == "create") {
    const auto made = control::create_account_with_key(command.region, command.text("name"));
    return send_key(made.account.id, made.account.name, made.root_key);
  }
  if (change == "key") {
    const auto id = command.text("id");
    return send_key(id, "", control::create_root_key(command.region, id));
  }
  for (const auto& row : control::accounts(command.region)) {
    command.send("account", {{"id", row.id}, {"name", row.name}, {"created", base::to_iso8601(row.created)}});
  }
  command.send("done", {});
}

struct Entry {
  std::string_view name;
  void (*run)(const Command&);
};
constexpr Entry entries[] = {
    {"import", import}, {"export", export_to_file}, {"usage", usage},    {"verify", verify},
    {"gc", gc},         {"scrub", scrub},           {"keys", keys},      {"delete-key", destroy_key},
    {"share", share},   {"alias", alias},           {"account", account}};

void run(const control::Regions& regions, control::Principal principal, Channel& channel, const std::string& line,
         const std::atomic<bool>& stopping) {
  json::error_code failure;
  const json::value parsed = json::parse(line, failure);
  if (failure || !parsed.is_object()) throw ApiError("InvalidParameter", "the request is not a JSON object");
  const json::object& request = parsed.as_object();
  const auto text = [&](const char* name) {
    const json::value* const value = request.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
  };
  const auto name = text("region");
  control::Region* const region = name.empty() ? regions.all().front().get() : regions.find(name);
  if (region == nullptr) throw ApiError("InvalidRegion", "the region '" + name + "' is not served here");
  if (const auto account = text("account"); !account.empty()) {
    principal = {.account = account, .arn = "arn:aws:iam::" + account + ":root", .user_id = account, .access_key = {}};
  }
  const Command command{*region, std::move(principal), request, channel, stopping};
  for (const Entry& entry : entries) {
    if (entry.name == text("command")) return entry.run(command);
  }
  throw ApiError("InvalidAction", "the command '" + text("command") + "' is not known");
}

}  // namespace

std::string error_line(const std::string& code, const std::string& message) {
  return json::serialize(json::object{{"error", {{"code", code}, {"message", message}}}});
}

void run_command(const control::Regions& regions, const control::Principal& principal, Channel& channel,
                 const std::string& line, const std::atomic<bool>& stopping) {
  try {
    run(regions, principal, channel, line, stopping);
  } catch (const ApiError& refusal) {
    channel.send(error_line(refusal.code(), refusal.what()));
  } catch (const std::exception& failure) {
    base::log_error("operator", "{}", failure.what());
    channel.send(error_line("InternalError", failure.what()));
  }
}

}  // namespace kiln::services::operators
