# `cmake --install` and find_package(smoothcert).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
install(TARGETS smoothcert EXPORT smoothcert-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET smoothcert_cuda)
  install(TARGETS smoothcert_cuda EXPORT smoothcert-targets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET smoothcert_cli)
  install(TARGETS smoothcert_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/smoothcert ${CMAKE_CURRENT_BINARY_DIR}/include/smoothcert
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(EXPORT smoothcert-targets NAMESPACE smoothcert::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/smoothcert)
configure_package_config_file(cmake/smoothcert-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/smoothcert-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/smoothcert)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/smoothcert-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/smoothcert-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/smoothcert-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/smoothcert)
