# Every third-party package, found once. All come from the distribution (scripts/install-dependencies).
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(SQLite3 REQUIRED)
if(DUET_BUILD_EMULATOR)
  find_package(Boost REQUIRED COMPONENTS context)
endif()
if(DUET_BUILD_CLI)
  find_package(CLI11 REQUIRED)
endif()
if(DUET_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(DUET_BUILD_BENCH)
  find_package(benchmark REQUIRED)
endif()

find_path(DUET_XXHASH_INCLUDE_DIR xxhash.h REQUIRED)

# cuda.h and nvrtc.h are needed for their types alone; nothing is linked. They come from an installed toolkit or from
# the Python packages that scripts/install-dependencies puts under .deps/.
set(DUET_CUDA_INCLUDE_HINTS "$ENV{CUDA_HOME}/include" "$ENV{CUDA_PATH}/include" /usr/local/cuda/include)
file(GLOB DUET_CUDA_WHEEL_INCLUDES "${PROJECT_SOURCE_DIR}/.deps/nvidia/*/include"
     "${PROJECT_SOURCE_DIR}/.deps/nvidia/cu13/include")
find_path(DUET_CUDA_INCLUDE_DIR cuda.h HINTS ${DUET_CUDA_INCLUDE_HINTS} ${DUET_CUDA_WHEEL_INCLUDES} REQUIRED)
find_path(DUET_NVRTC_INCLUDE_DIR nvrtc.h HINTS ${DUET_CUDA_INCLUDE_HINTS} ${DUET_CUDA_WHEEL_INCLUDES} REQUIRED)
add_library(duet_cuda_headers INTERFACE)
add_library(duet::cuda_headers ALIAS duet_cuda_headers)
target_include_directories(duet_cuda_headers SYSTEM INTERFACE ${DUET_CUDA_INCLUDE_DIR} ${DUET_NVRTC_INCLUDE_DIR})
