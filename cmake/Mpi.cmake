# `mpirun smoothcert sweep`: optional. SMOOTHCERT_MPI=AUTO uses MPI where it is found, ON insists.
set(SMOOTHCERT_MPI AUTO CACHE STRING "Sweeps on several ranks: AUTO, ON or OFF")
set_property(CACHE SMOOTHCERT_MPI PROPERTY STRINGS AUTO ON OFF)
set(_mpi_text "off")
if(NOT SMOOTHCERT_MPI STREQUAL "OFF")
  set(MPI_CXX_SKIP_MPICXX TRUE)
  find_package(MPI QUIET COMPONENTS CXX)
  if(MPI_CXX_FOUND)
    # Only the files that use it see it, so that a compiler cache serves the others in any build.
    file(GLOB SMOOTHCERT_MPI_SOURCES CONFIGURE_DEPENDS tools/ranks.cpp tools/mpi_*.cpp)
    set_source_files_properties(${SMOOTHCERT_MPI_SOURCES} PROPERTIES
      COMPILE_DEFINITIONS SMOOTHCERT_MPI
      INCLUDE_DIRECTORIES "${MPI_CXX_INCLUDE_DIRS}")
    # Of smoothcert_cli and, in the tests, of the program on simulated GPUs.
    set(SMOOTHCERT_MPI_LIBRARIES ${MPI_CXX_LIBRARIES})
    target_link_libraries(smoothcert_cli PRIVATE ${SMOOTHCERT_MPI_LIBRARIES})
    set(_mpi_text "MPI ${MPI_CXX_VERSION}")
  elseif(SMOOTHCERT_MPI STREQUAL "ON")
    message(FATAL_ERROR "SMOOTHCERT_MPI=ON: MPI was not found (libopenmpi-dev)")
  else()
    set(_mpi_text "none (libopenmpi-dev was not found); --shard and merge need none")
  endif()
endif()
message(STATUS "smoothcert: several ranks: ${_mpi_text}")
