# cmake/write_commit.cmake in a git tree, in a changed one, in a folder of one, outside of any, and told by the environment:
# `cmake -DSCRIPT=... -DFOLDER=... -P commit_test.cmake`.
find_program(GIT git REQUIRED)
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER}/tree/inner)
set(ENV{GIT_CEILING_DIRECTORIES} ${FOLDER})
unset(ENV{DUET_COMMIT})

function(git)
  execute_process(COMMAND ${GIT} -C ${FOLDER}/tree -c user.name=t -c user.email=t@t ${ARGN}
                  OUTPUT_VARIABLE out OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(git_out "${out}" PARENT_SCOPE)
endfunction()

function(expect_commit source commit)
  execute_process(COMMAND ${CMAKE_COMMAND} -DSOURCE=${source} -DOUTPUT=${FOLDER}/commit.h -P ${SCRIPT}
                  COMMAND_ERROR_IS_FATAL ANY)
  file(READ ${FOLDER}/commit.h text)
  if(NOT text MATCHES "\"${commit}\"\n$")
    message(FATAL_ERROR "of ${source}: wanted '${commit}', got: ${text}")
  endif()
endfunction()

expect_commit(${FOLDER}/tree "")
git(init -q)
file(WRITE ${FOLDER}/tree/inner/file "one\n")
git(add .)
git(commit -q -m one)
git(rev-parse --short=12 HEAD)
set(head ${git_out})
expect_commit(${FOLDER}/tree ${head})
expect_commit(${FOLDER}/tree/inner "")
file(WRITE ${FOLDER}/tree/build-output "is not tracked")
expect_commit(${FOLDER}/tree ${head})
file(APPEND ${FOLDER}/tree/inner/file "two\n")
expect_commit(${FOLDER}/tree ${head}-dirty)
set(ENV{DUET_COMMIT} told)
expect_commit(${FOLDER}/tree told)
