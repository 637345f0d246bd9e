# How Duet's own targets are made, so that every folder is built alike.

add_library(duet_warnings INTERFACE)
target_compile_options(duet_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                               $<$<BOOL:${DUET_WARNINGS_AS_ERRORS}>:-Werror>)
if(CMAKE_UNITY_BUILD)  # types of an unnamed namespace are no longer of the main file
  target_compile_options(duet_warnings INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()
add_library(duet_build_flags INTERFACE)  # of everything but tests
add_library(duet_test_flags INTERFACE)   # of tests, whose own code takes long to compile and little to run
target_link_libraries(duet_build_flags INTERFACE duet_warnings)
target_link_libraries(duet_test_flags INTERFACE duet_warnings)
target_compile_options(duet_test_flags INTERFACE ${DUET_TEST_FLAGS})
if(DUET_SANITIZE)  # not a generator expression: the comma in "address,undefined" would end its argument
  target_compile_options(duet_build_flags INTERFACE -fsanitize=${DUET_SANITIZE} -fno-sanitize-recover=all
                                                    -fno-omit-frame-pointer)
  target_link_options(duet_warnings INTERFACE -fsanitize=${DUET_SANITIZE})
endif()
if(DUET_BUILD_FUZZERS)  # coverage in every library; main() comes with -fsanitize=fuzzer of tests/fuzz alone
  target_compile_options(duet_build_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# duet_add_library(folder SOURCES a.cpp ... PUBLIC libs ... PRIVATE libs ...): static library duet_<folder>, alias duet::<folder>.
function(duet_add_library folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(duet_${folder} STATIC ${ARG_SOURCES})
  add_library(duet::${folder} ALIAS duet_${folder})
  target_include_directories(duet_${folder} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(
    duet_${folder}
    PUBLIC ${ARG_PUBLIC}
    PRIVATE ${ARG_PRIVATE} $<BUILD_INTERFACE:duet_build_flags>)
endfunction()

# duet_compile_alone(files...): left out of unity builds, where a name in an unnamed namespace is also a neighbour's.
function(duet_compile_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
