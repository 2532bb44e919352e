#pragma once
// Another region, as the source of a copy: what it is asked, and who may answer.
//
//   image, snapshot   described: what the new rows are made of
//   blocks            the blocks of a snapshot that are not zeros, page by page, with the digest of each if known
//   block             the bytes of one
//
// One is opened for one caller and asks with that caller's rights. Two kinds answer: a region of this very daemon, by
// its own rules and without any network; and a region of another daemon, by its public API, which the wiring hands in
// (RemoteRegions), since control knows no HTTP.
//
// block() may be called from as many threads as most_in_flight() says, all else by one at a time. Every call ends
// within a deadline. Throws base::ApiError, in the source's own words, when the source refuses: asking again is of no
// use. Throws SourceFailure when asking again may help: no connection, an answer cut short, a source in trouble.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/digest.h"
#include "blocks/disk_source.h"
#include "catalog/images.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

class SourceFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The rows are as the source has them: its region, its ids.
struct SourceImage {
  catalog::Image image;
  std::vector<catalog::ImageDevice> devices;  // by position
  std::map<std::string, std::string> tags;    // the caller's
};

struct SourceSnapshot {
  std::string id;
  std::string state;  // pending completed error
  std::int64_t size_gib = 0;
  bool encrypted = false;
};

struct SourceBlock {
  std::uint64_t index = 0;
  std::optional<base::Digest> digest;  // SHA-256; none: the source does not tell before it is read
  std::string token;                   // the source's, to read it
};
struct SourcePage {
  std::vector<SourceBlock> blocks;  // ascending
  std::string next_page;            // empty: there are no more
  std::uint64_t disk_bytes = 0;
  std::optional<base::Digest> root;  // of the disk's tree (blocks/manifest.h), from a source that has one
};

class SourceRegion {
 public:
  virtual ~SourceRegion() = default;
  virtual SourceImage image(const std::string& image_id) = 0;
  virtual SourceSnapshot snapshot(const std::string& snapshot_id) = 0;
  virtual SourcePage blocks(const std::string& snapshot_id, const std::string& page) = 0;
  // A whole block, which has been checked against its digest, or against that which the source sent with it.
  virtual blocks::ChunkBytes block(const std::string& snapshot_id, const SourceBlock& block) = 0;
  virtual unsigned most_in_flight() const = 0;
};

// Regions that other daemons serve. Made by the wiring, lives as long as the regions that it was given to; thread-safe.
class RemoteRegions {
 public:
  struct Known {
    std::string name, endpoint;
  };
  virtual ~RemoteRegions() = default;
  virtual std::vector<Known> all() const = 0;
  // Null when it is none of them. Throws ApiError when the caller's account has no key there.
  virtual std::unique_ptr<SourceRegion> open(const std::string& name, const Principal& caller) const = 0;
};

// Throws InvalidRegion when nobody knows it.
std::unique_ptr<SourceRegion> open_source(const Region& destination, const std::string& name, const Principal& caller);

}  // namespace kiln::control
