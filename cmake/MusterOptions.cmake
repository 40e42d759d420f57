# What every target shares. Flags hang on two INTERFACE targets, never on directories.
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH MUSTER_ROOT)  # The checkout, also when agent/ is built alone.
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set_property(GLOBAL PROPERTY JOB_POOLS link=1)

option(MUSTER_BUILD_TESTS "Build the tests" ON)
option(MUSTER_FUZZ "Build libFuzzer programs (Clang) instead of replay programs" OFF)
set(MUSTER_SANITIZE "" CACHE STRING "Sanitizers for every target: address,undefined or thread")
option(MUSTER_COVERAGE "Instrument for gcov" OFF)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${MUSTER_ROOT} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

add_library(muster_flags INTERFACE)
target_include_directories(muster_flags INTERFACE ${MUSTER_ROOT})
target_compile_options(muster_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
                                              -Woverloaded-virtual -Wno-missing-field-initializers -Werror=return-type)
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Generic")  # A board brings its own canary and what to do about it, or has none.
  target_compile_options(muster_flags INTERFACE -fstack-protector-strong)
endif()
if(MUSTER_SANITIZE)
  target_compile_options(muster_flags INTERFACE -fsanitize=${MUSTER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(muster_flags INTERFACE -fsanitize=${MUSTER_SANITIZE})
endif()
if(MUSTER_FUZZ)
  target_compile_options(muster_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(MUSTER_COVERAGE)
  target_compile_options(muster_flags INTERFACE --coverage)
  target_link_options(muster_flags INTERFACE --coverage)
endif()

# C++20 for the cloud and the tools.
add_library(muster_cxx20 INTERFACE)
target_link_libraries(muster_cxx20 INTERFACE muster_flags)
target_compile_features(muster_cxx20 INTERFACE cxx_std_20)

# C++17 without exceptions and RTTI for what also runs on a microcontroller (wire, agent/core).
add_library(muster_cxx17_min INTERFACE)
target_link_libraries(muster_cxx17_min INTERFACE muster_flags)
target_compile_features(muster_cxx17_min INTERFACE cxx_std_17)
