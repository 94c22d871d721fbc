# Every folder with sources has a list of them, sources.cmake; what is built is what is named there.
# tests/listed_sources.cmake fails on a file that no list names.

# Adds files of the calling list's folder to a variable.
function(smoothcert_sources variable)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_LIST_DIR}/ OUTPUT_VARIABLE _files)
  set(${variable} ${${variable}} ${_files} PARENT_SCOPE)
  set_property(GLOBAL APPEND PROPERTY SMOOTHCERT_LISTED_SOURCES ${_files})
endfunction()

foreach(folder
    src/util src/network src/checkpoint src/data src/noise src/attack src/train src/certify
    src/analysis src/store src/sweep src/study src/compare src/report src/backend src/cpu src/external src/gpu src/mpi
    cuda cuda/runtime cuda/layers cuda/train cuda/votes
    tools bench
    tests tests/simt tests/simulated tests/gpu tests/fuzz tests/instructions)
  include(${folder}/sources.cmake)
endforeach()
get_property(_listed GLOBAL PROPERTY SMOOTHCERT_LISTED_SOURCES)
list(JOIN _listed "\n" _listed)
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/listed-sources.txt "${_listed}\n")
