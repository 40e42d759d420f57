# What `cmake --install build/release [--prefix /usr/local]` puts on a machine: two programs, the systemd unit, the licence
# and what to read first.
include(GNUInstallDirs)

foreach(program muster muster-agent)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

# The unit names the program by its full path, so it is made when the prefix is known: at install time.
install(CODE "
  set(MUSTER_PROGRAM \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/muster\")
  set(MUSTER_DOCUMENTATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR}\")
  configure_file(\"${CMAKE_SOURCE_DIR}/packaging/muster.service\" \"${CMAKE_BINARY_DIR}/packaging/muster.service\" @ONLY)")
install(FILES ${CMAKE_BINARY_DIR}/packaging/muster.service DESTINATION lib/systemd/system)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
