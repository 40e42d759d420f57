# Builds the image of preset agent-min in SCRATCH and holds it against its limits.
foreach(command
    "${CMAKE_COMMAND};--preset;agent-min;-B;${SCRATCH}"
    "${CMAKE_COMMAND};--build;${SCRATCH}"
    "${PYTHON};${SOURCE}/agent/size/measure.py;${SCRATCH}")
  execute_process(COMMAND ${command} WORKING_DIRECTORY ${SOURCE} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed: ${command}")
  endif()
endforeach()
