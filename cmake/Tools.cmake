# The command-line program.
find_package(CLI11 REQUIRED)
include(cmake/Mpi.cmake)
# As objects, because the program on simulated GPUs is the same commands with another library.
add_library(smoothcert_commands OBJECT ${SMOOTHCERT_TOOL_SOURCES})
target_include_directories(smoothcert_commands PRIVATE tools src)
target_link_libraries(smoothcert_commands
  PUBLIC smoothcert_options CLI11::CLI11 fmt::fmt spdlog::spdlog nlohmann_json::nlohmann_json
  PRIVATE smoothcert)
smoothcert_precompile(smoothcert_commands <CLI/CLI.hpp> <fmt/format.h> <nlohmann/json.hpp>)

add_executable(smoothcert_cli $<TARGET_OBJECTS:smoothcert_commands>)
set_target_properties(smoothcert_cli PROPERTIES OUTPUT_NAME smoothcert LINKER_LANGUAGE CXX)
target_link_libraries(smoothcert_cli PRIVATE smoothcert smoothcert_mpi smoothcert_options
  fmt::fmt spdlog::spdlog)
