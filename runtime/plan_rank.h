// How near stored plans are to what is wanted: the one order in which they are preferred.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/plan_store.h"

namespace duet {

// "power mode 15W instead of 25W", for each thing in which the device a plan was made for differs from the wanted one
// of the same module.
std::vector<std::string> mode_differences(const DeviceFingerprint& made_for, const DeviceFingerprint& wanted);
// The same with the module before them: "same module, power mode 15W instead of 25W", "made for Jetson Orin Nano
// (sm_87) instead of Jetson Orin NX 16GB (sm_87)". Empty when the devices are equal. `first` goes behind the module.
std::string device_differences(const DeviceFingerprint& made_for, const DeviceFingerprint& wanted,
                               std::vector<std::string> first = {});
bool same_module(const DeviceFingerprint& a, const DeviceFingerprint& b);

// The best of those that qualify; null when none does. In order: made for this architecture (another hardly ever runs),
// for this module, for the nearest batch, for the nearest SM count, for this power mode, under the fewest other
// conditions; then the firmest provenance, the one preferred (PlanStore::prefer), the fastest, the newest.
const PlanSummary* nearest_plan(std::span<const PlanSummary> plans, const DeviceFingerprint& device, int batch,
                                const std::function<bool(const PlanSummary&)>& qualifies);

}  // namespace duet
