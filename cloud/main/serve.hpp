// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace muster::main {

/// What `muster serve` was told on the command line; everything else comes from the configuration file.
struct ServeOptions {
  std::string data_directory;
  std::vector<std::string> listen;      ///< ADDR:PORT; empty with listen_tls empty too: 0.0.0.0:8080.
  std::vector<std::string> listen_tls;  ///< ADDR:PORT; empty with listen empty too: 0.0.0.0:9443.
  std::string public_url;
  std::string config_file;
  std::string store_url = "";  ///< sqlite:PATH; empty: muster.db in the data directory.
  std::string bus_url = "local:";
};

/// Runs the cloud until SIGTERM or SIGINT; reloads on SIGHUP. Prints one JSON line on stdout when ready; logs go to stderr.
/// Returns the exit code: 0 after a clean stop, 2 for wrong options or configuration, 1 when it could not start.
int serve(const ServeOptions& options);

}  // namespace muster::main
