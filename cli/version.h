// Which Duet this is: goes into every plan, session and benchmark.
#pragma once

#include <string>

namespace duet {

// The commit it was built from ("a48b17b0c1d2", "-dirty" behind it when files were changed); where the build knew none,
// DUET_COMMIT of the environment; else empty.
std::string built_commit();

// "0.1.0 a48b17b0c1d2"; without the commit where none is known.
std::string version_text();

}  // namespace duet
