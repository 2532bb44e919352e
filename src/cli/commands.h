#pragma once
// The commands of `kiln`, each a function that prints and returns an exit code. They throw std::runtime_error with a
// sentence for the user. Results go to standard output, progress and words to standard error.

#include <string>

namespace kiln::cli {

struct Common {
  std::string data_directory;
  std::string region;   // empty: the daemon's first
  std::string account;  // empty: the daemon's first
};

struct ImportOptions {
  std::string file, name, description;
  std::string format;  // empty: what the file's ending says
  std::string architecture = "x86_64";
};
int import(const Common& common, const ImportOptions& options);  // prints the image's id

struct ExportOptions {
  std::string id, output;
  std::string format;  // empty: what the output's ending says
  bool force = false;  // replace a file that is there
};
int export_disk(const Common& common, const ExportOptions& options);  // prints the output's path

int usage(const Common& common);
int verify(const Common& common);  // 1 when something cannot be read

struct GcOptions {
  std::string grace = "1h";  // 0, 90, 90s, 15m, 1h, 7d
  bool force = false;
};
int gc(const Common& common, const GcOptions& options);
// How far the background scrub is and what it found; with now a whole pass at once. 1 when anything is bad.
int scrub(const Common& common, bool now);

int keys(const Common& common);  // of every account in the region

struct DeleteKeyOptions {
  std::string key;  // its id or ARN
  bool now = false, yes = false;
};
int delete_key(const Common& common, const DeleteKeyOptions& options);

struct ShareOptions {
  std::string image, with;  // with: an account
};
int share(const Common& common, const ShareOptions& options);  // prints the snapshots that are shared beside the image

struct AliasOptions {
  std::string alias, image;  // debian-12, or the whole /aws/service/kiln/debian-12
};
int aliases(const Common& common);                                 // the aliases of a region and what they name
int set_alias(const Common& common, const AliasOptions& options);  // prints the parameter's name
int delete_alias(const Common& common, const AliasOptions& options);

struct AccountOptions {
  std::string name;             // of a new one
  std::string id;               // of one that is there
  std::string output = "text";  // text, json
};
int create_account(const Common& common, const AccountOptions& options);  // prints its id and a key of its root user
int account_key(const Common& common, const AccountOptions& options);     // prints one more key of its root user
int accounts(const Common& common, const AccountOptions& options);

struct AuditOptions {
  std::string who;       // in the caller's ARN, or its access key
  std::string event;     // RunInstances, or with wildcards: Delete*
  std::string resource;  // an id or ARN in what was asked and answered
  std::string since;     // 90, 15m, 1h, 7d ago; empty: from the beginning
  bool refused = false;  // only what was not done
  bool json = false;     // the records as they are
};
int audit(const Common& common, const AuditOptions& options);  // 1 when no record is like that

int api(bool shapes);  // every operation served, as "service operation", or their members as JSON
int inspect(const std::string& file);

}  // namespace kiln::cli
