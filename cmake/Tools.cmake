# The command-line program.
find_package(CLI11 REQUIRED)
add_executable(smoothcert_cli ${SMOOTHCERT_TOOL_SOURCES})
set_target_properties(smoothcert_cli PROPERTIES OUTPUT_NAME smoothcert)
target_include_directories(smoothcert_cli PRIVATE tools src)
target_link_libraries(smoothcert_cli PRIVATE smoothcert smoothcert_options CLI11::CLI11 fmt::fmt
                      spdlog::spdlog nlohmann_json::nlohmann_json)
include(cmake/Mpi.cmake)
target_link_libraries(smoothcert_cli PRIVATE smoothcert_mpi)
