#pragma once
// The program that domains name as their emulator: QEMU with what libvirt cannot ask of it.
//
// libvirt 9.0 drops a reconnect delay of an NBD disk without a word. The program adds it to each NBD -blockdev and
// becomes QEMU. It is written only when it would change, because libvirt asks an emulator again for its capabilities,
// which takes a second, when its file is new.

#include <chrono>
#include <string>

namespace kiln::hypervisor {

std::string emulator_script(const std::string& qemu, std::chrono::seconds reconnect_delay);

// Writes it to path, executable by all, replacing in one step what is there. Throws HostError.
void install_emulator(const std::string& path, const std::string& script);

}  // namespace kiln::hypervisor
