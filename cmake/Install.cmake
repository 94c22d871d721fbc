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
  # The program knows its own options: it writes its manual page and what shells complete.
  foreach(_what "man|smoothcert.1|${CMAKE_INSTALL_MANDIR}/man1"
                "bash|smoothcert|${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
                "zsh|_smoothcert|${CMAKE_INSTALL_DATADIR}/zsh/site-functions"
                "fish|smoothcert.fish|${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
    string(REPLACE "|" ";" _what "${_what}")
    list(GET _what 0 _kind)
    list(GET _what 1 _name)
    list(GET _what 2 _folder)
    set(_file ${CMAKE_CURRENT_BINARY_DIR}/completion/${_kind}/${_name})
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/completion/${_kind})
    add_custom_command(OUTPUT ${_file} COMMAND smoothcert_cli completion ${_kind} > ${_file}
                       DEPENDS smoothcert_cli VERBATIM)
    list(APPEND _completion ${_file})
    install(FILES ${_file} DESTINATION ${_folder})
  endforeach()
  add_custom_target(smoothcert_completion ALL DEPENDS ${_completion})
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
