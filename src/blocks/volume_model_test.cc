// Random operations and crashes against a model that knows, for every sector, what it may contain.
//
// A few volumes are written, trimmed, zeroed, flushed, cut (several at one point in time), uploaded, cloned, grown and
// removed; every second one is encrypted. In the middle of anything the process is killed or the power goes, and again
// while it recovers. Each sector has the stamp of its write. True after every crash: what a flush covered is there;
// each sector is as it was or as it was written; what was read once after a recovery stays; a cut is the disk as it was
// at the cut or is not there; a volume that was created, grown or removed stays so.
//
// KILN_SEED=n runs a seed again; KILN_LONG=1 goes on until 10,000 kills and 1,000 power cuts have been survived.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <list>
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
  enum class Life { making, there, removing };
  std::string name;
  Life life = Life::making;
  std::uint64_t growing_to = 0;  // sectors, when that was not answered
  DiskId base_id;
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

struct Crashes {
  std::uint64_t kills = 0, power_cuts = 0, operations = 0, cuts = 0, clones = 0, removals = 0, growths = 0;
};

class Machine {
 public:
  Machine(std::uint64_t seed, Crashes& crashes) : random_(seed), files_(seed), crashes_(crashes) {
    root_ = durable_directory(files_);
    disks_.keys()->add(domain_);
    for (int i = 0; i < 2; ++i) {
      Stamps base((3 * chunk_bytes / sector_bytes + sectors_per_unit * 5) * 2 / 3);
      for (std::size_t at = 0; at < base.size(); ++at) base[at] = at / 700 % 2 == 0 ? 1'000'000'000 + at : 0;
      make_volume(disks_.add(content_of(base)), base, base.size() / 2);
    }
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
    ++crashes_.operations;
    auto& model = any_volume();
    const auto sectors = model.now.size();
    const bool ragged = below(2) == 0;
    auto first = below(sectors), count = below(below(8) == 0 ? 2000 : 40) + 1;
    if (!ragged) first -= first % sectors_per_unit, count += sectors_per_unit - count % sectors_per_unit;
    count = std::min(count, sectors - first);
    const auto fua = below(8) == 0 ? Fua::yes : Fua::no;
    const base::Extent range{first * sector_bytes, count * sector_bytes};
    switch (below(19)) {
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
      case 16: grow(model); break;
      case 17: clone(model); break;
      case 18: remove(model); break;
    }
  }

  ModelVolume& any_volume() {
    return *std::next(volumes_.begin(), static_cast<std::ptrdiff_t>(below(volumes_.size())));
  }

  void make_volume(const DiskId& base, const Stamps& content, std::uint64_t more_sectors) {
    auto& model = volumes_.emplace_back();
    char name[32];
    std::snprintf(name, sizeof name, "vol-%017llx", static_cast<unsigned long long>(++last_volume_));
    model.name = name;
    model.base_id = base;
    model.base = model.now = content;
    model.now.resize(content.size() + more_sectors);
    const auto created = Volume::create(files_, root_ / model.name,
                                        {.volume = model.name,
                                         .size_bytes = model.now.size() * sector_bytes,
                                         .base = base,
                                         .epoch = 1,
                                         .domain = last_volume_ % 2 == 0 ? domain_->id() : DomainId{}});
    EXPECT_TRUE(created.ok() || files_.died()) << text_of(created);
    if (!created) return;
    model.life = ModelVolume::Life::there;
    open(model);
  }

  void grow(ModelVolume& model) {
    if (model.now.size() * sector_bytes > 5 * chunk_bytes) return;
    model.growing_to = model.now.size() + below(3) * sectors_per_unit + below(6);
    const auto grown = model.volume->grow(model.growing_to * sector_bytes);
    EXPECT_TRUE(grown.ok() || files_.died()) << text_of(grown);
    if (!grown) return;
    ++crashes_.growths;
    model.now.resize(model.growing_to);
    model.growing_to = 0;
  }

  // A volume of what was uploaded last of another one.
  void clone(ModelVolume& model) {
    if (volumes_.size() > 3) return;
    ++crashes_.clones;
    make_volume(DiskId(model.base_id), Stamps(model.base), below(3) * sectors_per_unit);
  }

  void remove(ModelVolume& model) {
    if (volumes_.size() < 3 || below(2) == 0) return;
    model.life = ModelVolume::Life::removing;
    model.volume.reset();
    const auto removed = Volume::remove(files_, root_ / model.name);
    EXPECT_TRUE(removed.ok() || files_.died()) << text_of(removed);
    if (!removed) return;
    ++crashes_.removals;
    removed_.insert(model.name);
    volumes_.remove_if([&](const ModelVolume& each) { return &each == &model; });
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
    std::size_t i = 0;
    for (auto& model : volumes_) {
      if (only != i++) cuts.push_back({model.volume.get(), "snap-" + std::to_string(++last_snapshot_)});
    }
    const auto sealed = Volume::seal(cuts);
    if (!sealed) {
      EXPECT_TRUE(files_.died() || sealed.error().fault() == base::Fault::busy) << sealed.error().message();
      return;
    }
    for (const auto& cut : *sealed) {
      auto& model = named(cut.volume);
      model.cuts.push_back({cut.snapshot, model.now, false});
      ++crashes_.cuts;
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
    const auto cut = SealedGeneration::open(files_, root_ / model.name, wanted.snapshot, disks_.keys());
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
    const auto generation = SealedGeneration::open(files_, root_ / model.name, cut.snapshot, disks_.keys());
    if (!generation) return;
    const auto disk = disks_.add(content_of(*composed));
    rebasing_ = {model.name, cut.snapshot, disk, *composed};
    const auto status = model.volume->rebase(generation->generation(), disk);
    if (!status) {
      EXPECT_TRUE(files_.died()) << text_of(status);
      return;
    }
    finish_rebase(model);
  }

  void finish_rebase(ModelVolume& model) {
    model.base = rebasing_->content;
    model.base_id = rebasing_->disk;
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

  void open(ModelVolume& model) {
    auto opened = Volume::open(files_, root_ / model.name, disks_, {.epoch = 1, .checkpoint_log_bytes = 600});
    EXPECT_TRUE(opened || files_.died()) << opened.error().message();
    if (opened) model.volume = std::move(*opened);
  }

  // What somebody does who finds out, after a crash, that nobody has answered: asks again for what was asked.
  void open_all() {
    for (auto model = volumes_.begin(); model != volumes_.end();) {
      const auto there = files_.exists(root_ / model->name / "VOLUME");
      if (!there) return;
      EXPECT_TRUE(*there || model->life != ModelVolume::Life::there) << model->name << " is gone";
      if (*there) {
        open(*model);
        if (!model->volume) return;
        ++model;
        continue;
      }
      if (!Volume::remove(files_, root_ / model->name)) return;
      removed_.insert(model->name);
      model = volumes_.erase(model);
    }
    for (const auto& name : removed_) {
      const auto there = files_.exists(root_ / name / "VOLUME");
      EXPECT_TRUE(!there || !*there) << name << " was removed and is there again";
    }
  }

  void crash() {
    bool power = false;
    for (int tries = 0;; ++tries) {
      const auto kind = below(2) == 0 ? FaultyFiles::Crash::power : FaultyFiles::Crash::process;
      power = power || kind == FaultyFiles::Crash::power;
      restart(kind);
      if (tries < 3 && below(2) == 0) files_.die_before(below(30) + 1);  // and once more while recovering
      open_all();
      if (!files_.died()) break;
    }
    files_.die_before(1'000'000);
    for (auto& model : volumes_) check_recovered(model, power);
    if (below(4) == 0) {
      // What was read after a recovery stays, even when the power goes at once.
      restart(FaultyFiles::Crash::power);
      open_all();
      for (auto& model : volumes_) EXPECT_EQ(contents(model), model.now) << "a second power cut changed what was read";
    }
    if (volumes_.empty()) make_volume({}, {}, 2000);  // operations need one
  }

  void restart(FaultyFiles::Crash kind) {
    ++(kind == FaultyFiles::Crash::power ? crashes_.power_cuts : crashes_.kills);
    for (auto& model : volumes_) model.volume.reset();
    files_.restart(kind);
  }

  Stamps contents(ModelVolume& model) {
    base::Bytes out(model.volume->size_bytes());
    const auto status = model.volume->read(0, out);
    EXPECT_TRUE(status.ok()) << text_of(status);
    return stamps_of(out);
  }

  void check_recovered(ModelVolume& model, bool power) {
    const auto found = contents(model);
    if (found.size() == model.growing_to) model.now.resize(model.growing_to);
    ASSERT_EQ(found.size(), model.now.size()) << model.name << " has another size";
    model.life = ModelVolume::Life::there;
    model.growing_to = 0;
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

  ModelVolume& named(const std::string& name) {
    return *std::ranges::find(volumes_, name, [](const ModelVolume& model) { return model.name; });
  }

  struct Rebasing {
    std::string volume, snapshot;
    DiskId disk;
    Stamps content;
  };
  std::mt19937_64 random_;
  FaultyFiles files_;
  MemoryDisks disks_;
  const DomainPtr domain_ = std::make_shared<const KeyDomain>(DomainId::make(), make_domain_secret());
  base::Path root_;
  std::list<ModelVolume> volumes_;
  std::set<std::string> removed_;
  std::uint64_t last_stamp_ = 0;
  int last_snapshot_ = 0;
  std::optional<Rebasing> rebasing_;
  std::string unsealing_;
  std::uint64_t last_volume_ = 0;
  Crashes& crashes_;
};

TEST(VolumeModel, every_sector_is_old_or_new_after_any_crash_and_every_cut_is_whole_or_none) {
  const bool one = std::getenv("KILN_SEED") != nullptr, is_long = std::getenv("KILN_LONG") != nullptr;
  Crashes crashes;
  const auto enough = [&](int seeds) {
    if (is_long) return crashes.kills >= 10'000 && crashes.power_cuts >= 1'000;
    return seeds == (one ? 1 : 25);
  };
  auto seed = seed_or(1);
  for (int seeds = 0; !enough(seeds) && !HasFailure(); ++seeds, ++seed) {
    SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
    Machine(seed, crashes).run(20);
  }
  const auto& c = crashes;
  std::puts(fmt::format("KILN_SEED={}: survived {} kills and {} power cuts; {} operations, {} cuts, {} clones, {} "
                        "removals, {} growths",
                        seed_or(1), c.kills, c.power_cuts, c.operations, c.cuts, c.clones, c.removals, c.growths)
                .c_str());
}

}  // namespace
}  // namespace kiln::blocks
