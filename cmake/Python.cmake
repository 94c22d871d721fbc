# The Python package: python/smoothcert with the extension module _core. `pip install .` builds it
# (pyproject.toml); -DSMOOTHCERT_PYTHON=ON puts it into BUILD/python, for PYTHONPATH.
if(NOT SMOOTHCERT_PYTHON)
  return()
endif()
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
  OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE _nanobind_dir RESULT_VARIABLE _failed ERROR_QUIET)
if(_failed)
  message(FATAL_ERROR "SMOOTHCERT_PYTHON: ${Python_EXECUTABLE} has no nanobind (pip install nanobind)")
endif()
list(PREPEND CMAKE_PREFIX_PATH ${_nanobind_dir})
find_package(nanobind CONFIG REQUIRED)

nanobind_add_module(smoothcert_python NB_STATIC NOMINSIZE
  python/bindings/module.cpp
  python/bindings/settings.cpp
  python/bindings/statistics_bindings.cpp
  python/bindings/models_bindings.cpp
  python/bindings/certify_bindings.cpp
  python/bindings/attack_bindings.cpp
  python/bindings/training_bindings.cpp
  python/bindings/waiting.cpp
  python/bindings/store_bindings.cpp)
set_target_properties(smoothcert_python PROPERTIES OUTPUT_NAME _core
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/python/smoothcert)
target_include_directories(smoothcert_python PRIVATE python/bindings src)
target_link_libraries(smoothcert_python PRIVATE smoothcert smoothcert_options)

# The package beside it, for tests without an installation.
file(GLOB _package_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/python/smoothcert/*.py
  ${CMAKE_CURRENT_SOURCE_DIR}/python/smoothcert/*.pyi ${CMAKE_CURRENT_SOURCE_DIR}/python/smoothcert/py.typed)
add_custom_command(TARGET smoothcert_python POST_BUILD
  COMMAND ${CMAKE_COMMAND} -E copy_if_different ${_package_files}
          ${CMAKE_CURRENT_BINARY_DIR}/python/smoothcert
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/python/smoothcert/bin
  COMMAND ${CMAKE_COMMAND} -E create_symlink $<TARGET_FILE:smoothcert_cli>
          ${CMAKE_CURRENT_BINARY_DIR}/python/smoothcert/bin/smoothcert)
add_dependencies(smoothcert_python smoothcert_cli)
nanobind_add_stub(smoothcert_python_stub
  MODULE _core
  OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/python/smoothcert/_core.pyi
  PYTHON_PATH ${CMAKE_CURRENT_BINARY_DIR}/python/smoothcert
  DEPENDS smoothcert_python)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/python/smoothcert/_core.pyi DESTINATION smoothcert
        COMPONENT python)
install(TARGETS smoothcert_python LIBRARY DESTINATION smoothcert COMPONENT python)
install(PROGRAMS $<TARGET_FILE:smoothcert_cli> DESTINATION smoothcert/bin COMPONENT python)

# pytest, where this interpreter has it.
if(SMOOTHCERT_TESTS)
  execute_process(COMMAND ${Python_EXECUTABLE} -c "import pytest, numpy"
    RESULT_VARIABLE _no_pytest OUTPUT_QUIET ERROR_QUIET)
  if(_no_pytest)
    message(STATUS "smoothcert: no Python tests (${Python_EXECUTABLE} lacks pytest or numpy)")
  else()
    add_test(NAME python COMMAND ${Python_EXECUTABLE} -m pytest -q
      ${CMAKE_CURRENT_SOURCE_DIR}/python/tests -p no:cacheprovider)
    set_tests_properties(python PROPERTIES LABELS "cpu" TIMEOUT 900
      ENVIRONMENT "PYTHONPATH=${CMAKE_CURRENT_BINARY_DIR}/python")
  endif()
endif()
