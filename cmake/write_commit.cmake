# Writes OUTPUT, a header with the commit of SOURCE: `cmake -DSOURCE=... -DOUTPUT=... -P write_commit.cmake`. Run at every
# build; the file is touched only when the commit is another, so that one source file is compiled again and no more.
# DUET_COMMIT in the environment overrides it. Empty where SOURCE is no git work tree of its own (an unpacked archive).
set(commit "$ENV{DUET_COMMIT}")
find_program(GIT git)
if(commit STREQUAL "" AND GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --show-prefix --short=12 HEAD
                  OUTPUT_VARIABLE found ERROR_QUIET RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
  # An empty first line: SOURCE is the top of the work tree, not a folder of somebody else's.
  if(NOT failed AND found MATCHES "^\n([0-9a-f]+)$")
    set(commit "${CMAKE_MATCH_1}")
    execute_process(COMMAND ${GIT} -C ${SOURCE} status --porcelain --untracked-files=no
                    OUTPUT_VARIABLE changes ERROR_QUIET)
    if(NOT changes STREQUAL "")
      string(APPEND commit "-dirty")
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define DUET_BUILT_COMMIT \"${commit}\"\n")
