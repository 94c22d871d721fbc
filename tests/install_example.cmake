# Installs the library into a folder of its own and builds docs/example against it, as a user would:
#   cmake -DBUILD=... -DSOURCE=... -DWORK=... -DCOMPILER=... -P install_example.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "failed (${code}): ${ARGN}\n${out}\n${err}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)

# A public header that needs CUDA, or another one before it, would not be a public header.
file(GLOB_RECURSE headers RELATIVE ${WORK}/prefix/include ${WORK}/prefix/include/smoothcert/*.hpp)
list(LENGTH headers count)
if(count LESS 20)
  message(FATAL_ERROR "only ${count} headers were installed")
endif()
file(MAKE_DIRECTORY ${WORK}/headers)
set(sources "")
foreach(header ${headers})
  file(READ ${WORK}/prefix/include/${header} text)
  if(NOT header MATCHES "/device/" AND text MATCHES "cuda_runtime|cudaStream|cudaError|cudnn|cublas|__global__")
    message(FATAL_ERROR "${header} names a CUDA type")
  endif()
  string(REPLACE "/" "_" name ${header})
  file(WRITE ${WORK}/headers/${name}.cpp "#include \"${header}\"\n#include \"${header}\"\n")
  list(APPEND sources ${name}.cpp)
endforeach()
list(JOIN sources " " sources)
# Everything that the library can do is linked, so that a missing dependency shows.
file(WRITE ${WORK}/headers/use.cpp "#include \"smoothcert/report.hpp\"
#include \"smoothcert/compare.hpp\"
#include \"smoothcert/data_source.hpp\"
#include \"smoothcert/sweep.hpp\"
#include \"smoothcert/version.hpp\"
int main(int argc, char** argv) {
  if (argc < 9) return smoothcert::kVersion == nullptr;
  smoothcert::write_report(smoothcert::load_study(argv[1]), argv[2]);
  smoothcert::write_sweep_report(smoothcert::sweep_of_store(argv[1]), argv[2]);
  smoothcert::load_data({});
  return static_cast<int>(smoothcert::load_sweep(argv[3]).models.size());
}
")
file(WRITE ${WORK}/headers/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)
project(headers LANGUAGES CXX)
find_package(smoothcert ${VERSION} REQUIRED)
add_executable(headers use.cpp ${sources})
target_link_libraries(headers PRIVATE smoothcert::smoothcert)
")

foreach(project ${SOURCE}/docs/example ${WORK}/headers)
  get_filename_component(name ${project} NAME)
  run(${CMAKE_COMMAND} -S ${project} -B ${WORK}/build-${name} -DCMAKE_PREFIX_PATH=${WORK}/prefix
      -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
      -DCMAKE_BUILD_TYPE=Debug)
  run(${CMAKE_COMMAND} --build ${WORK}/build-${name})
endforeach()
run(${WORK}/build-headers/headers)

# The example certifies: a small model, trained by the installed program on digits it draws itself.
if(EXISTS ${WORK}/prefix/bin/smoothcert)
  run(${WORK}/prefix/bin/smoothcert train smoothing --data digits --digits-size 300,20 --out
      ${WORK}/model.safetensors --quiet)
  execute_process(COMMAND ${WORK}/build-example/certify_one ${WORK}/model.safetensors digits 3
                  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT code EQUAL 0 OR NOT out MATCHES "image 0: label .*image 1: label .*image 2: label")
    message(FATAL_ERROR "the example failed (${code}): ${out}${err}")
  endif()
endif()
