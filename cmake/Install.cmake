# What `cmake --install build/release [--prefix /usr/local]` puts on a machine: two programs, their systemd units, completions for three
# shells, the licence and what to read first.
include(GNUInstallDirs)

foreach(program muster muster-agent)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

# A unit names its program by the full path, so it is made when the prefix is known: at install time.
install(CODE "
  set(MUSTER_PROGRAM \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/muster\")
  set(MUSTER_AGENT_PROGRAM \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/muster-agent\")
  set(MUSTER_DOCUMENTATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR}\")
  foreach(unit muster muster-agent)
    configure_file(\"${CMAKE_SOURCE_DIR}/packaging/\${unit}.service\" \"${CMAKE_BINARY_DIR}/packaging/\${unit}.service\" @ONLY)
  endforeach()")
install(FILES ${CMAKE_BINARY_DIR}/packaging/muster.service ${CMAKE_BINARY_DIR}/packaging/muster-agent.service DESTINATION lib/systemd/system)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Completions come from the built program itself, so that they know exactly its commands.
if(TARGET muster)
  set(completions ${CMAKE_BINARY_DIR}/packaging)
  foreach(shell bash zsh fish)
    install(CODE "execute_process(COMMAND \"$<TARGET_FILE:muster>\" completion ${shell} OUTPUT_FILE \"${completions}/muster.${shell}\" COMMAND_ERROR_IS_FATAL ANY)")
  endforeach()
  install(FILES ${completions}/muster.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME muster)
  install(FILES ${completions}/muster.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _muster)
  install(FILES ${completions}/muster.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME muster.fish)
endif()
