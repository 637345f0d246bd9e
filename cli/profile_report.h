// A profile as tables and as JSON.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "profile/figures.h"
#include "profile/recording.h"
#include "profile/step_match.h"

namespace duet {

// One profiled plan.
struct Profile {
  Plan plan;
  std::map<std::string, std::string> about{};  // plan, environment, versions
  Recording recording{};
  StepMatch match{};  // with at least one replay
  ProfileFigures figures{};
};

std::string profile_text(const Profile& profile);
nlohmann::json profile_json(const Profile& profile);

}  // namespace duet
