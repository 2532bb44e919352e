// The part of LibvirtHost that counts: what a guest used, from one call of libvirt.
#include <map>

#include "hypervisor/libvirt/libvirt_host.h"

namespace kiln::hypervisor {
namespace {

struct FreeRecords {
  void operator()(virDomainStatsRecordPtr* records) const { virDomainStatsRecordListFree(records); }
};

struct Values {
  std::map<std::string, std::uint64_t> numbers;
  std::map<std::string, std::string> texts;

  std::uint64_t number(const std::string& name) const {
    const auto found = numbers.find(name);
    return found == numbers.end() ? 0 : found->second;
  }
};

Values values_of(const virDomainStatsRecord& record) {
  Values values;
  for (int i = 0; i < record.nparams; ++i) {
    const auto& parameter = record.params[i];
    switch (parameter.type) {
      case VIR_TYPED_PARAM_ULLONG: values.numbers[parameter.field] = parameter.value.ul; break;
      case VIR_TYPED_PARAM_UINT: values.numbers[parameter.field] = parameter.value.ui; break;
      case VIR_TYPED_PARAM_STRING: values.texts[parameter.field] = parameter.value.s; break;
      default: break;
    }
  }
  return values;
}

}  // namespace

GuestStatistics LibvirtHost::statistics(const std::string& instance_id) {
  const auto domain = domain_of(instance_id);
  if (virDomainIsActive(domain.get()) != 1) return {};
  virDomainPtr asked[] = {domain.get(), nullptr};
  virDomainStatsRecordPtr* raw = nullptr;
  constexpr unsigned wanted =
      VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_INTERFACE | VIR_DOMAIN_STATS_BLOCK;
  const int count = virDomainListGetStats(asked, wanted, &raw, 0);
  check(count, "statistics of " + instance_id);
  const std::unique_ptr<virDomainStatsRecordPtr, FreeRecords> records(raw);
  if (count == 0) return {};
  const auto values = values_of(*raw[0]);

  GuestStatistics statistics;
  statistics.cpu_nanoseconds = values.number("cpu.time");
  statistics.memory_bytes = values.number("balloon.current") * 1024;
  statistics.memory_unused_bytes = values.number("balloon.unused") * 1024;
  statistics.received_bytes = values.number("net.0.rx.bytes");
  statistics.received_packets = values.number("net.0.rx.pkts");
  statistics.sent_bytes = values.number("net.0.tx.bytes");
  statistics.sent_packets = values.number("net.0.tx.pkts");
  for (std::uint64_t i = 0; i < values.number("block.count"); ++i) {
    const auto disk = "block." + std::to_string(i) + ".";
    const auto name = values.texts.find(disk + "name");
    statistics.disks.push_back({.device = name == values.texts.end() ? std::string() : name->second,
                                .reads = values.number(disk + "rd.reqs"),
                                .read_bytes = values.number(disk + "rd.bytes"),
                                .writes = values.number(disk + "wr.reqs"),
                                .written_bytes = values.number(disk + "wr.bytes"),
                                .flushes = values.number(disk + "fl.reqs")});
  }
  return statistics;
}

}  // namespace kiln::hypervisor
