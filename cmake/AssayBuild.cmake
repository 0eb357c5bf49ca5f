# SPDX-License-Identifier: Apache-2.0
# Build settings and the three functions every folder uses: assay_library, assay_program, assay_test.

option(ASSAY_TESTS "Build the tests" ON)
option(ASSAY_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
set(ASSAY_SANITIZE "" CACHE STRING "Value for -fsanitize=")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_CXX_FLAGS_DEV "-O1 -g1")
set(CMAKE_C_FLAGS_DEV "-O1 -g1")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")

find_program(ASSAY_CCACHE ccache)
if(ASSAY_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${ASSAY_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${ASSAY_CCACHE}")
endif()

include(Hardening)

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(LibArchive REQUIRED)
find_package(Protobuf REQUIRED)
pkg_check_modules(GRPC REQUIRED IMPORTED_TARGET grpc++)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(LIBELF REQUIRED IMPORTED_TARGET libelf)

# Every target of ours links this: warnings are errors, sanitizers as asked for.
add_library(assay_settings INTERFACE)
target_compile_options(assay_settings INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Werror
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>)
target_include_directories(assay_settings INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_definitions(assay_settings INTERFACE ASSAY_VERSION="${PROJECT_VERSION}")
target_link_libraries(assay_settings INTERFACE Threads::Threads)
assay_harden(assay_settings)
if(ASSAY_SANITIZE)
  # gcc warns wrongly of std::variant and std::optional once a sanitizer rewrote the code (its manual
  # says so of -fsanitize).
  target_compile_options(assay_settings INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_compile_options(assay_settings INTERFACE
    -fsanitize=${ASSAY_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(assay_settings INTERFACE -fsanitize=${ASSAY_SANITIZE})
endif()
if(ASSAY_FUZZ)
  add_custom_target(fuzzers)
  target_compile_options(assay_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()

# assay_library(NAME SOURCES file… DEPS target…): a static library of one folder.
function(assay_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE assay_settings ${ARG_PRIVATE_DEPS})
  target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}")
endfunction()

# assay_program(NAME SOURCES file… DEPS target…): a program.
function(assay_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE assay_settings ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
endfunction()

# What the tests with the label unit run.
add_custom_target(unit_tests)

# assay_test(NAME LABEL unit SOURCES file… DEPS target… [TIMEOUT s]): one Catch2 binary, one CTest
# entry; exit code 77 means SKIPPED (tests/support/test_main.cpp).
function(assay_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE assay_settings assay_test_main ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES
    LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77)
  if(ARG_LABEL STREQUAL "unit")
    add_dependencies(unit_tests ${name})
  else()
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# assay_fuzz(NAME SOURCES file… DEPS target…): a libFuzzer target with its corpus folder
# tests/fuzz/corpus/NAME; under CTest it runs for ten seconds,
# and an input that takes a minute is a failure that is written down. Built in the fuzz preset only.
# The target `fuzzers` builds them all.
function(assay_fuzz name)
  if(NOT ASSAY_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE assay_settings ${ARG_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  set(seeds "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}")
  set(found "${CMAKE_BINARY_DIR}/fuzz/corpus/${name}")
  file(MAKE_DIRECTORY "${found}")
  add_test(NAME ${name} COMMAND ${name} -max_total_time=10 -timeout=60 -rss_limit_mb=2048 "${found}" "${seeds}")
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 300)
endfunction()
