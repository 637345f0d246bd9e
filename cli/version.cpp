#include "cli/version.h"

#include <stdlib.h>

#include "commit.h"

namespace duet {

std::string built_commit() {
  const std::string built = DUET_BUILT_COMMIT;
  const char* given = ::getenv("DUET_COMMIT");
  return built.empty() && given != nullptr ? given : built;
}

std::string version_text() {
  const std::string commit = built_commit();
  return commit.empty() ? DUET_VERSION : DUET_VERSION " " + commit;
}

}  // namespace duet
