// Random operations and crashes against a model that knows, for every sector, what it may contain.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <set>

#include "blocks/sealed_generation.h"
#include "blocks/volume_testing.h"

namespace kiln::blocks {
namespace {

using base::FaultyFiles;
using base::Status;
using Stamps = std::vector<std::uint64_t>;

constexpr std::uint64_t sectors_per_unit = unit_bytes / sector_bytes;

struct ModelCut {
  std::string snapshot;
  Stamps content;
  bool acknowledged_durable = false;
};

struct ModelVolume {
  std::string name;
  Stamps now;                                              // as acknowledged
  std::map<std::uint64_t, std::set<std::uint64_t>> loose;  // by sector: what a power cut may leave besides now
  std::map<std::uint64_t, std::uint64_t> unanswered;       // the operation during which the process ended
  std::vector<ModelCut> cuts;                              // not uploaded yet, oldest first
  Stamps base;
  std::unique_ptr<Volume> volume;

  void acknowledge() {
    for (const auto& [sector, stamp] : unanswered) {
      loose[sector].insert(now[sector]);
      now[sector] = stamp;
    }
    unanswered.clear();
  }
};

class Machine {
 public:
  explicit Machine(std::uint64_t seed) : random_(seed), files_(seed) {
    root_ = durable_directory(files_);
    for (const char* name : {"vol-0000000000000000a", "vol-0000000000000000b"}) {
      auto& model = volumes_.emplace_back();
      model.name = name;
      model.now.resize(3 * chunk_bytes / sector_bytes + sectors_per_unit * 5);
      for (std::size_t i = 0; i < model.now.size() * 2 / 3; ++i) {
        model.now[i] = i / 700 % 2 == 0 ? 1'000'000'000 + i : 0;
      }
      model.base.assign(model.now.begin(), model.now.begin() + static_cast<std::ptrdiff_t>(model.now.size() * 2 / 3));
      const auto base = disks_.add(content_of(model.base));
      const Status created =
          Volume::create(files_, root_ / name,
                         {.volume = name, .size_bytes = model.now.size() * sector_bytes, .base = base, .epoch = 1});
      EXPECT_TRUE(created.ok()) << text_of(created);
    }
    open_all();
  }

  void run(int rounds) {
    for (int round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
      files_.die_before(random_() % 120 + 1);
      while (!files_.died()) operate();
      crash();
    }
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  void operate() {
    auto& model = volumes_[below(volumes_.size())];
    const auto sectors = model.now.size();
    const bool ragged = below(2) == 0;
    auto first = below(sectors), count = below(below(8) == 0 ? 2000 : 40) + 1;
    if (!ragged) first -= first % sectors_per_unit, count += sectors_per_unit - count % sectors_per_unit;
    count = std::min(count, sectors - first);
    const auto fua = below(8) == 0 ? Fua::yes : Fua::no;
    const base::Extent range{first * sector_bytes, count * sector_bytes};
    switch (below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5: {
        const auto stamp = ++last_stamp_;
        for (auto i = first; i < first + count; ++i) model.unanswered[i] = stamp;
        done(model, model.volume->write(range.offset, stamped(stamp, count), fua), fua == Fua::yes);
        break;
      }
      case 6:
      case 7: {
        const auto from = (first + sectors_per_unit - 1) / sectors_per_unit * sectors_per_unit;
        const auto to = first + count == sectors ? sectors : (first + count) / sectors_per_unit * sectors_per_unit;
        for (auto i = from; i < to; ++i) model.unanswered[i] = 0;
        done(model, model.volume->trim(range, fua), fua == Fua::yes);
        break;
      }
      case 8:
      case 9:
        for (auto i = first; i < first + count; ++i) model.unanswered[i] = 0;
        done(model, model.volume->zero(range, fua), fua == Fua::yes);
        break;
      case 10:
      case 11: done(model, model.volume->flush(), true); break;
      case 12: seal(); break;
      case 13: finish(model); break;
      case 14: upload_or_unseal(model); break;
      case 15: check_read(model, first, count); break;
    }
  }

  void done(ModelVolume& model, const Status& status, bool durable) {
    if (!status) {
      EXPECT_TRUE(files_.died()) << text_of(status);
      return;
    }
    model.acknowledge();
    if (durable) model.loose.clear();
  }

  void seal() {
    std::vector<Volume::Cut> cuts;
    const auto only = below(3);
    for (std::size_t i = 0; i < volumes_.size(); ++i) {
      if (only != i) cuts.push_back({volumes_[i].volume.get(), "snap-" + std::to_string(++last_snapshot_)});
    }
    const auto sealed = Volume::seal(cuts);
    if (!sealed) {
      EXPECT_TRUE(files_.died() || sealed.error().fault() == base::Fault::busy) << sealed.error().message();
      return;
    }
    for (const auto& cut : *sealed) {
      auto& model = named(cut.volume);
      model.cuts.push_back({cut.snapshot, model.now, false});
    }
  }

  void finish(ModelVolume& model) {
    if (model.cuts.empty()) return;
    const auto status = model.volume->sealed(model.cuts.back().snapshot);
    if (status) {
      model.cuts.back().acknowledged_durable = true;
    } else {
      EXPECT_TRUE(files_.died()) << text_of(status);
    }
  }

  // The content of the oldest cut as an upload would compose it.
  std::optional<Stamps> compose(ModelVolume& model, const ModelCut& wanted) {
    const auto cut = SealedGeneration::open(files_, root_ / model.name, wanted.snapshot);
    if (!cut) {
      EXPECT_TRUE(files_.died()) << cut.error().message();
      return std::nullopt;
    }
    auto content = content_of(model.base);
    EXPECT_TRUE(cut->is_oldest());
    content.resize((cut->size_bytes() + chunk_bytes - 1) / chunk_bytes * chunk_bytes);
    for (const auto chunk : cut->touched_chunks()) {
      const auto at = content.begin() + static_cast<std::ptrdiff_t>(chunk * chunk_bytes);
      auto parent = std::make_shared<const base::Bytes>(at, at + chunk_bytes);
      auto composed = cut->compose(chunk, cut->needs_parent(chunk) ? parent : nullptr);
      if (!composed) {
        EXPECT_TRUE(files_.died()) << composed.error().message();
        return std::nullopt;
      }
      EXPECT_TRUE(!cut->is_zero(chunk) || *composed == base::Bytes(chunk_bytes));
      std::copy(composed->begin(), composed->end(), at);
    }
    content.resize(cut->size_bytes());
    return stamps_of(content);
  }

  void upload_or_unseal(ModelVolume& model) {
    if (model.cuts.empty()) return;
    const auto cut = model.cuts.front();
    if (!model.volume->sealed(cut.snapshot)) {
      EXPECT_TRUE(files_.died());
      return;
    }
    model.cuts.front().acknowledged_durable = true;
    const auto composed = compose(model, cut);
    if (!composed) return;
    EXPECT_EQ(*composed, cut.content) << cut.snapshot << " is not the disk at the cut";
    if (below(4) == 0) {
      unsealing_ = cut.snapshot;
      const auto status = model.volume->unseal(cut.snapshot);
      EXPECT_TRUE(status.ok() || files_.died()) << text_of(status);
      if (!status) return;
      model.cuts.erase(model.cuts.begin());
      unsealing_.clear();
      return;
    }
    const auto generation = SealedGeneration::open(files_, root_ / model.name, cut.snapshot);
    if (!generation) return;
    const auto disk = disks_.add(content_of(*composed));
    rebasing_ = {model.name, cut.snapshot, *composed};
    const auto status = model.volume->rebase(generation->generation(), disk);
    if (!status) {
      EXPECT_TRUE(files_.died()) << text_of(status);
      return;
    }
    finish_rebase(model);
  }

  void finish_rebase(ModelVolume& model) {
    model.base = rebasing_->content;
    std::erase_if(model.cuts, [&](const ModelCut& cut) { return cut.snapshot == rebasing_->snapshot; });
    rebasing_.reset();
  }

  void check_read(ModelVolume& model, std::uint64_t first, std::uint64_t count) {
    base::Bytes out(count * sector_bytes);
    const auto status = model.volume->read(first * sector_bytes, out);
    if (!status) {
      EXPECT_TRUE(files_.died()) << text_of(status);
      return;
    }
    const auto stamps = stamps_of(out);
    for (std::uint64_t i = 0; i < count; ++i) ASSERT_EQ(stamps[i], model.now[first + i]) << "sector " << first + i;
  }

  void open_all() {
    for (auto& model : volumes_) {
      auto opened = Volume::open(files_, root_ / model.name, disks_, {.epoch = 1, .checkpoint_log_bytes = 600});
      if (!opened) {
        EXPECT_TRUE(files_.died()) << opened.error().message();
        return;
      }
      model.volume = std::move(*opened);
    }
  }

  void crash() {
    bool power = false;
    for (int tries = 0;; ++tries) {
      const auto kind = below(2) == 0 ? FaultyFiles::Crash::power : FaultyFiles::Crash::process;
      power = power || kind == FaultyFiles::Crash::power;
      for (auto& model : volumes_) model.volume.reset();
      files_.restart(kind);
      if (tries < 3 && below(2) == 0) files_.die_before(below(30) + 1);  // and once more while recovering
      open_all();
      if (!files_.died()) break;
    }
    files_.die_before(1'000'000);
    for (auto& model : volumes_) check_recovered(model, power);
    if (below(4) != 0) return;
    // What was read after a recovery stays, even when the power goes at once.
    for (auto& model : volumes_) model.volume.reset();
    files_.restart(FaultyFiles::Crash::power);
    open_all();
    for (auto& model : volumes_) EXPECT_EQ(contents(model), model.now) << "a second power cut changed what was read";
  }

  Stamps contents(ModelVolume& model) {
    base::Bytes out(model.now.size() * sector_bytes);
    const auto status = model.volume->read(0, out);
    EXPECT_TRUE(status.ok()) << text_of(status);
    return stamps_of(out);
  }

  void check_recovered(ModelVolume& model, bool power) {
    const auto found = contents(model);
    for (std::uint64_t i = 0; i < found.size(); ++i) {
      if (found[i] == model.now[i]) continue;
      const auto unanswered = model.unanswered.find(i);
      if (unanswered != model.unanswered.end() && unanswered->second == found[i]) continue;
      const auto loose = model.loose.find(i);
      if (power && loose != model.loose.end() && loose->second.contains(found[i])) continue;
      FAIL() << model.name << " sector " << i << " says " << found[i] << ", was acknowledged as " << model.now[i]
             << (power ? " before a power cut" : " before a crash of the process");
    }
    model.now = found;
    model.loose.clear();
    model.unanswered.clear();
    if (rebasing_ && rebasing_->volume == model.name) {
      if (!model.volume->sealed(rebasing_->snapshot)) {
        finish_rebase(model);
      } else {
        rebasing_.reset();
      }
    }
    std::erase_if(model.cuts, [&](const ModelCut& cut) {
      const auto status = model.volume->sealed(cut.snapshot);
      if (!status && cut.snapshot != unsealing_) {
        EXPECT_FALSE(cut.acknowledged_durable) << cut.snapshot << " was durable and is gone";
      }
      return !status;
    });
    if (!model.cuts.empty()) {
      const auto composed = compose(model, model.cuts.front());
      EXPECT_TRUE(composed && *composed == model.cuts.front().content) << model.cuts.front().snapshot;
    }
  }

  ModelVolume& named(const std::string& name) { return volumes_[volumes_[0].name == name ? 0 : 1]; }

  struct Rebasing {
    std::string volume, snapshot;
    Stamps content;
  };
  std::mt19937_64 random_;
  FaultyFiles files_;
  MemoryDisks disks_;
  base::Path root_;
  std::vector<ModelVolume> volumes_;
  std::uint64_t last_stamp_ = 0;
  int last_snapshot_ = 0;
  std::optional<Rebasing> rebasing_;
  std::string unsealing_;
};

TEST(VolumeModel, every_sector_is_old_or_new_after_any_crash_and_every_cut_is_whole_or_none) {
  const char* given = std::getenv("KILN_SEED");
  const auto first = seed_or(1);
  const auto count = given != nullptr ? 1 : 40;
  for (std::uint64_t seed = first; seed < first + count && !HasFailure(); ++seed) {
    SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
    Machine(seed).run(20);
  }
}

}  // namespace
}  // namespace kiln::blocks
