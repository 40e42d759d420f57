// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <ostream>
#include <sstream>

#include "cli/commands.hpp"
#include "cli/completion.hpp"
#include "cli/json_text.hpp"
#include "cloud/main/config.hpp"
#include "cloud/main/serve.hpp"

namespace muster::cli {

namespace {

using Action = std::function<Outcome<void>(Context&)>;

/// CLI11's own checks of numbers speak of doubles, in all their digits.
CLI::Validator whole_number(std::int64_t least) {
  return CLI::Validator{[least](const std::string& text) {
                          std::int64_t value = 0;
                          const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
                          const bool fits = error == std::errc{} && end == text.data() + text.size() && value >= least;
                          return fits ? std::string{} : "\"" + text + "\" is not a whole number from " + std::to_string(least) + " on.";
                        },
                        "", "whole number"};
}

/// No command means anything by one; where a script's variable is not set, it would quietly do something else than was asked.
CLI::Validator not_empty() {
  return CLI::Validator{
      [](const std::string& text) { return text.empty() ? std::string{"its value is empty: give one, or leave it out."} : ""; }, "",
      "not empty"};
}

CLI::Validator finite_number() {
  return CLI::Validator{[](const std::string& text) {
                          double value = 0;
                          const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
                          const bool fits = error == std::errc{} && end == text.data() + text.size() && std::isfinite(value);
                          return fits ? std::string{} : "\"" + text + "\" is not a number.";
                        },
                        "", "number"};
}

/// The whole command line: CLI11's tree, and where each option ends up.
class CommandLine {
 public:
  CommandLine() {
    app_.description("Muster makes devices active: a self-hosted cloud, and the tool of whoever runs one.");
    app_.footer(
        "Exit codes: 0 done, 1 failed here, 2 wrong usage, 3 refused by the server, 4 server unreachable.\n"
        "First steps: muster serve --data DIR, then muster setup --url URL --code CODE --email EMAIL.");
    app_.set_version_flag("--version", std::string{"muster "} + MUSTER_VERSION, "Print the version");
    app_.require_subcommand(1);
    add_server_commands();
    add_session_commands();
    add_template_commands();
    add_device_commands();
    add_provision_command();
    add_organization_commands();
    add_job_commands();
    add_people_commands();
    add_access_commands();
    add_webhook_commands();
    add_offline_commands();
    add_other_commands();
    refuse_empty_values(app_);
  }

  /// nullopt: to be done by action(). Else the exit code.
  std::optional<int> parse(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // As CLI11 wants them.
    try {
      app_.parse(reversed);
      return std::nullopt;
    } catch (const CLI::CallForHelp&) {
      // CLI11 puts the command's own name behind what it is given.
      out << deepest()->help(deepest() == &app_ ? std::string{} : path_of(deepest()->get_parent()), CLI::AppFormatMode::Normal);
      return exit_ok;
    } catch (const CLI::CallForAllHelp&) {
      out << app_.help({}, CLI::AppFormatMode::All);
      return exit_ok;
    } catch (const CLI::CallForVersion& version) {
      out << version.what() << "\n";
      return exit_ok;
    } catch (const CLI::ParseError& error) {
      explain(error, arguments, err);
      return exit_usage;
    }
  }
  [[nodiscard]] const Action& action() const noexcept { return action_; }
  [[nodiscard]] const Globals& globals() const noexcept { return globals_; }
  [[nodiscard]] CommandTree tree() const { return tree_of(app_, "muster"); }

 private:
  // --- what commands have in common ---------------------------------------------------------------------------------------------
  static void refuse_empty_values(CLI::App& app) {
    for (auto* const option : app.get_options([](const CLI::Option* one) { return one->get_items_expected_max() > 0; }))
      option->check(not_empty());
    for (auto* const sub : app.get_subcommands([](const CLI::App*) { return true; })) refuse_empty_values(*sub);
  }
  CLI::App* group(CLI::App& parent, const std::string& name, const std::string& description) {
    auto* const made = parent.add_subcommand(name, description);
    made->require_subcommand(1);
    return made;
  }
  CLI::App* command(CLI::App& parent, const std::string& name, const std::string& description, Action action) {
    auto* const made = parent.add_subcommand(name, description);
    made->callback([this, act = std::move(action)] { action_ = act; });
    return made;
  }
  /// Of everything that talks to a server.
  void add_connection(CLI::App* app) {
    app->add_option("--url", globals_.url, "The server, like https://muster.example.com (default: MUSTER_URL, else the saved login)");
    app->add_option("--ca", globals_.ca, "PEM file of the CA to trust (default: MUSTER_CA, else the saved login's, else the system's)");
    add_json(app);
  }
  void add_json(CLI::App* app) { app->add_flag("--json", globals_.json, "Print JSON, with the field names of the API"); }
  void add_organization(CLI::App* app) {
    app->add_option("--org", globals_.organization, "Id of the organization (default: your own)")->check(whole_number(1));
  }
  void add_yes(CLI::App* app) { app->add_flag("--yes", globals_.yes, "Do it without asking"); }
  static void add_data(CLI::App* app, DataOptions& data) {
    app->add_option("--data", data.directory, "The server's data directory")->required();
    app->add_option("--store", data.store_url, "Its store: sqlite:PATH (default: the one that the server last used)")->type_name("URL");
  }
  static void add_paging(CLI::App* app, Paging& paging) {
    app->add_option("--page", paging.page, "Only this page, from 0")->check(whole_number(0));
    app->add_option("--limit", paging.limit, "At most so many rows (a page: at most 1000)")->check(whole_number(1));
  }
  void add_list(CLI::App* app, ListOptions& list) {
    add_connection(app);
    add_organization(app);
    app->add_option("--query", list.query, "Only what holds this text in its name");
    add_paging(app, list.paging);
  }

  // --- commands -------------------------------------------------------------------------------------------------------------------
  void add_server_commands() {
    auto* const serve = command(app_, "serve", "Run the cloud", [this](Context& context) { return run_server(context); });
    serve->add_option("--data", serve_.data_directory, "Where database, keys and certificates lie; made when it is not there");
    serve
        ->add_option("--listen", serve_.listen,
                     "ADDR:PORT for plain text and TLS, may be repeated (default 0.0.0.0:8080; port 0 picks a free one)")
        ->type_name("ADDR:PORT");
    serve->add_option("--listen-tls", serve_.listen_tls, "ADDR:PORT for TLS only, may be repeated (default 0.0.0.0:9443)")
        ->type_name("ADDR:PORT");
    serve->add_option("--public-url", serve_.public_url, "How devices and people reach this server, like https://muster.example.com");
    serve->add_option("--config", serve_.config_file, "Configuration file (TOML)");
    serve->add_flag("--print-config", print_config_, "Print every key of the configuration file with its meaning and default, and end");
    serve->add_option("--store", serve_.store_url, "Where the data is kept: sqlite:PATH (default: muster.db in the data directory)")
        ->type_name("URL");
    serve->add_option("--bus", serve_.bus_url, "How nodes talk to each other: local:")->type_name("URL");
    serve->footer(
        "When it is ready it prints one line of JSON on stdout, with the addresses and, until there is an administrator, the setup code.\n"
        "SIGTERM ends it; SIGHUP reads configuration, certificates and keys again.");
  }

  void add_session_commands() {
    auto* const setup = command(app_, "setup", "Make the first administrator of a new server",
                                [this](Context& context) { return set_up(context, setup_); });
    add_connection(setup);
    setup->add_option("--code", setup_.code, "The setup code of the server's ready line; - reads it from stdin")->required();
    setup->add_option("--email", setup_.email, "Email address of the administrator")->required();
    setup->add_option("--org-name", setup_.organization_name, "Name of the root organization (default: Muster)");
    setup->footer("The password comes from a prompt, or from stdin (with --code - from the second line).");

    auto* const login = command(app_, "login", "Sign in and save the login", [this](Context& context) { return log_in(context, email_); });
    add_connection(login);
    login->add_option("--email", email_, "Your email address")->required();
    login->footer(
        "The password comes from a prompt or from stdin; with two-factor sign-in the code is the second line.\n"
        "The login is saved under $XDG_CONFIG_HOME/muster (0600). MUSTER_URL, MUSTER_TOKEN and MUSTER_CA override it.");

    add_connection(command(app_, "logout", "Sign out and forget the login", [](Context& context) { return log_out(context); }));
  }

  void add_template_commands() {
    auto* const templates = group(app_, "template", "Product definitions that devices follow");
    auto* app = command(*templates, "create", "Make a template", [this](Context& context) { return create_template(context, template_); });
    add_connection(app);
    add_organization(app);
    app->add_option("--name", template_.name, "Name, at most 100 characters")->required();
    app->add_option("--board", template_.board_type, "Board type (default ESP32)");
    app->add_option("--connection", template_.connection_type, "How its devices connect: WI_FI (default), ETHERNET, CELLULAR, ...");
    app->add_option("--manufacturer", template_.manufacturer, "Manufacturer");
    app->add_option("--description", template_.description, "Description");
    app->add_option("--hotspot-prefix", template_.hotspot_prefix,
                    "Begin of the name of the Wi-Fi that a new device opens, at most 20 characters");
    app->add_option("--firmware-type", template_.firmware_type, "Firmware type");
    app->add_flag("--allow-public-plain-text", template_.allow_public_plain_text,
                  "Let its devices log in unencrypted from public addresses");

    add_list(command(*templates, "list", "List templates", [this](Context& context) { return list_templates(context, list_); }), list_);

    app = command(*templates, "show", "Show a template with its datastreams",
                  [this](Context& context) { return show_template(context, template_id_); });
    add_connection(app);
    add_template_id(app);

    app = command(*templates, "delete", "Delete a template",
                  [this](Context& context) { return delete_template(context, template_id_, with_devices_); });
    add_connection(app);
    add_yes(app);
    add_template_id(app);
    app->add_flag("--with-devices", with_devices_, "Delete its devices too; their AuthTokens are invalid for ever");

    auto* const streams = group(*templates, "datastream", "Typed channels of a template");
    app = command(*streams, "add", "Add a datastream", [this](Context& context) {
      stream_.template_id = template_id_;
      return add_datastream(context, stream_);
    });
    add_connection(app);
    add_template_id(app);
    app->add_option("--pin", stream_.pin, "Virtual pin, V0 to V255")->required();
    app->add_option("--name", stream_.name, "Name (default: the pin)");
    app->add_option("--alias", stream_.alias, "Alias");
    app->add_option("--type", stream_.type, "INTEGER, DOUBLE, STRING, ENUM or LOCATION (default STRING)")
        ->transform(CLI::IsMember({"INTEGER", "DOUBLE", "STRING", "ENUM", "LOCATION"}, CLI::ignore_case));
    app->add_option("--units", stream_.units, "Units");
    app->add_option("--min", stream_.min, "Values below are raised to this")->check(finite_number());
    app->add_option("--max", stream_.max, "Values above are lowered to this")->check(finite_number());
    app->add_option("--default", stream_.default_value, "Value of a device that has none");
    app->add_option("--decimals", stream_.decimals, "Decimals shown")->check(CLI::Range(0, 15));
    app->add_option("--value", stream_.enum_values, "A value of an ENUM; repeat it for each")->type_name("TEXT");
    app->add_flag("--sync", stream_.sync_on_connect, "Send the value to the device when it connects");

    app = command(*streams, "list", "List the datastreams of a template",
                  [this](Context& context) { return list_datastreams(context, template_id_); });
    add_connection(app);
    add_template_id(app);

    app = command(*streams, "delete", "Delete a datastream",
                  [this](Context& context) { return delete_datastream(context, template_id_, stream_.pin, stream_id_); });
    add_connection(app);
    add_yes(app);
    add_template_id(app);
    app->add_option("--pin", stream_.pin, "Its virtual pin, V0 to V255");
    app->add_option("--id", stream_id_, "Its id, instead of the pin")->check(whole_number(1));
  }
  void add_template_id(CLI::App* app) {
    app->add_option("template,--template", template_id_, "TMPL id or number of the template")->required()->type_name("ID");
  }

  void add_device_commands() {
    auto* const devices = group(app_, "device", "Devices and their AuthTokens");
    auto* app = command(*devices, "create", "Make a device and its AuthToken",
                        [this](Context& context) { return create_device(context, device_); });
    add_connection(app);
    add_organization(app);
    app->add_option("--template", device_.template_id, "TMPL id or number of its template")->required()->type_name("ID");
    app->add_option("--name", device_.name, "Name, at most 60 characters")->required();
    app->add_option("--owner", device_.owner, "User id of its owner (default: you; 0: nobody)")->check(whole_number(0));

    app = command(*devices, "list", "List devices", [this](Context& context) {
      devices_.list = list_;
      return list_devices(context, devices_);
    });
    add_list(app, list_);
    app->add_option("--template", devices_.template_id, "Only those of this template")->type_name("ID");
    app->add_option("--owner", devices_.owner, "Only those of this user")->check(whole_number(1));
    app->add_flag("--sub-orgs", devices_.with_sub_organizations, "Also those of the organizations beneath");

    app = command(*devices, "show", "Show a device", [this](Context& context) { return show_device(context, id_); });
    add_connection(app);
    add_device_id(app);

    app = command(*devices, "token", "Show a device's AuthToken (audited), or replace it",
                  [this](Context& context) { return show_device_token(context, id_, regenerate_); });
    add_connection(app);
    add_yes(app);
    add_device_id(app);
    app->add_flag("--regenerate", regenerate_, "Make a new one; the old one is invalid at once and for ever");

    app =
        command(*devices, "rename", "Give a device another name", [this](Context& context) { return rename_device(context, id_, name_); });
    add_connection(app);
    add_device_id(app);
    app->add_option("name,--name", name_, "The new name, at most 60 characters")->required();

    app = command(*devices, "delete", "Delete a device", [this](Context& context) { return delete_device(context, id_); });
    add_connection(app);
    add_yes(app);
    add_device_id(app);

    app = command(*devices, "transfer", "Give a device to another owner, or to another organization",
                  [this](Context& context) { return transfer_device(context, id_, transfer_); });
    add_connection(app);
    add_organization(app);
    add_yes(app);
    add_device_id(app);
    app->add_option("--to-owner", transfer_.owner, "Its new owner; an email address is looked for in --org")->type_name("ID|EMAIL");
    app->add_option("--to-org", transfer_.organization, "Its new organization; there it has no owner")->check(whole_number(1));

    app = command(*devices, "remove-owner", "Take a device from its owner; it stays in its organization",
                  [this](Context& context) { return remove_device_owner(context, id_); });
    add_connection(app);
    add_yes(app);
    add_device_id(app);

    app = command(*devices, "erase", "Erase what a device has said; id, AuthToken, owner and metadata stay",
                  [this](Context& context) { return erase_device(context, id_); });
    add_connection(app);
    add_yes(app);
    add_device_id(app);

    app = command(*devices, "timeline", "What happened to a device, newest first",
                  [this](Context& context) { return show_timeline(context, id_, timeline_); });
    add_connection(app);
    add_device_id(app);
    app->add_option("--type", timeline_.type, "Only lines of this type")
        ->check(CLI::IsMember({"INFORMATION", "WARNING", "CRITICAL", "CONTENT", "ONLINE", "OFFLINE", "SYSTEM"}));
    app->add_option("--code", timeline_.code, "Only lines with this code");
    app->add_option("--from", timeline_.from, "Not before this time: 2026-01-31, \"2026-01-31 09:30\" or Unix milliseconds");
    app->add_option("--to", timeline_.to, "Not after this time");
    add_paging(app, timeline_.paging);

    app = command(*devices, "watch", "Print status and values as they change",
                  [this](Context& context) { return watch_devices(context, watch_); });
    add_connection(app);
    add_organization(app);
    app->add_option("device", watch_.devices, "Ids of the devices (default: all of the organization)")
        ->check(whole_number(1))
        ->type_name("ID");
    app->add_flag("--sub-orgs", watch_.with_sub_organizations, "Also those of the organizations beneath");
    app->add_option("--count", watch_.count, "End after so many events")->check(whole_number(1));
    app->footer(
        "With --json each line is one event: {\"event\":\"status\",\"deviceId\":1,\"online\":true} "
        "or\n{\"event\":\"value\",\"deviceId\":1,\"pin\":3,\"value\":\"21.5\",\"at\":...}. Ctrl-C ends it.");
  }
  void add_device_id(CLI::App* app) {
    app->add_option("device,--device", id_, "Id of the device")->required()->check(whole_number(1))->type_name("ID");
  }

  void add_provision_command() {
    auto* const app =
        app_.add_subcommand("provision", "Give a device nearby its network and its AuthToken, and follow it until it is online");
    app->callback([this, app] {  // Runs behind that of a command beneath.
      if (app->get_subcommands().empty()) action_ = [this](Context& context) { return provision(context, provision_); };
    });
    auto* const sessions = command(*app, "sessions", "List the set-ups of an organization, newest first",
                                   [this](Context& context) { return list_provision_sessions(context, list_.paging); });
    add_connection(sessions);
    add_organization(sessions);
    add_paging(sessions, list_.paging);
    add_connection(app);
    add_organization(app);
    app->add_option(
           "--radio", provision_.radio,
           "How the device is found: nm or nm:INTERFACE, a Wi-Fi card of this computer by NetworkManager (its own network is put back);\n"
           "wpa or wpa:INTERFACE, the same by wpa_supplicant, as root;\n"
           "ble or ble:ADAPTER, Bluetooth LE by bluetoothd;\n"
           "sim or sim:PATH, the simulated air of this machine's agents")
        ->type_name("RADIO");
    app->add_flag("--ble", provision_.ble, "Bluetooth LE: the same as --radio ble");
    app->add_option("--device-url", provision_.device_url,
                    "Instead: where the device answers, when this computer is on its network already")
        ->type_name("URL");
    app->add_option("--template", provision_.template_id, "Only a device of this template (TMPL id)")->type_name("ID");
    app->add_option("--prefix", provision_.prefix,
                    "How the names of devices begin (default: the hotspot prefix of --template, else Blynk)");
    app->add_option("--device-name", provision_.device_name, "The name of its own Wi-Fi, when several devices wait");
    app->add_option("--ssid", provision_.ssid, "The network that it shall join (default: ask)");
    app->add_flag("--password-stdin", provision_.password_from_stdin, "Read the network's password from stdin");
    app->add_option("--reconfigure", provision_.reconfigure, "Give this device of the cloud a new network; it keeps its id and its data")
        ->type_name("DEVICE");
    app->footer(
        "The network's password comes from MUSTER_WIFI_PASSWORD, from stdin or from a prompt. With --json each line is one event; the last "
        "is\n"
        "{\"event\":\"done\",\"deviceId\":1} or {\"event\":\"failed\",\"step\":...,\"code\":722,\"message\":...,\"fix\":...}.");
  }

  void add_user_reference(CLI::App* app) {
    app->add_option("user", user_reference_, "Id or email address")->required()->type_name("ID|EMAIL");
  }

  void add_account_commands(CLI::App& users) {
    auto* app = command(users, "invite", "Invite somebody; the link goes out by mail, or is printed when the server sends none",
                        [this](Context& context) { return invite_user(context, user_); });
    add_connection(app);
    add_organization(app);
    app->add_option("--email", user_.email, "Email address")->required();
    app->add_option("--name", user_.name, "Name");
    app->add_option("--role", user_.role, "Admin, Staff or User (default)");

    auto* const invitations = group(users, "invitation", "Invitations that wait");
    app = command(*invitations, "list", "List those of an organization",
                  [this](Context& context) { return list_invitations(context, list_.paging); });
    add_connection(app);
    add_organization(app);
    app = command(*invitations, "resend", "Send one again, with a new link",
                  [this](Context& context) { return resend_invitation(context, user_reference_); });
    add_connection(app);
    add_organization(app);
    add_user_reference(app);
    app = command(*invitations, "revoke", "Make a link useless",
                  [this](Context& context) { return revoke_invitation(context, user_reference_); });
    add_connection(app);
    add_organization(app);
    add_user_reference(app);

    app = command(users, "role", "Give a user another role",
                  [this](Context& context) { return set_user_role(context, user_reference_, user_.role); });
    add_connection(app);
    add_organization(app);
    add_user_reference(app);
    app->add_option("role,--role", user_.role, "The role's name")->required();

    app = command(users, "suspend", "The same as disable",
                  [this](Context& context) { return set_user_enabled(context, user_reference_, false); });
    add_connection(app);
    add_organization(app);
    add_yes(app);
    add_user_reference(app);

    app = command(users, "transfer", "Move a user to another organization", [this](Context& context) {
      user_transfer_.user = user_reference_;
      return transfer_user(context, user_transfer_);
    });
    add_connection(app);
    add_organization(app);
    add_yes(app);
    add_user_reference(app);
    app->add_option("--to-org", user_transfer_.organization, "Its id")->check(whole_number(1));
    app->add_option("--to-admin", user_transfer_.admin, "Or the email of an administrator there");
    app->add_option("--role", user_transfer_.role, "Role there (default: the present one)");
    app->add_flag("--move-devices", user_transfer_.move_devices, "Devices of that user come along");
    app->add_flag("--release-devices", user_transfer_.release_devices, "They stay, without an owner");

    auto* const sessions = group(users, "sessions", "Where people are signed in");
    app = command(*sessions, "list", "List sessions: your own, or those of another user",
                  [this](Context& context) { return list_user_sessions(context, user_reference_); });
    add_connection(app);
    add_organization(app);
    app->add_option("user", user_reference_, "Id or email address (default: yourself)")->type_name("ID|EMAIL");
    app = command(*sessions, "end", "End all sessions of a user, or one of them",
                  [this](Context& context) { return end_user_sessions(context, user_reference_, session_); });
    add_connection(app);
    add_organization(app);
    add_user_reference(app);
    app->add_option("--session", session_, "Only this one, by its id")->check(whole_number(1));

    add_connection(
        command(app_, "whoami", "Say as whom, and where, you are signed in", [](Context& context) { return show_oneself(context); }));
  }

  void add_organization_commands() {
    auto* const organizations = group(app_, "org", "Organizations");
    auto* app = command(*organizations, "create", "Make an organization beneath yours, or beneath --org",
                        [this](Context& context) { return create_organization(context, organization_); });
    add_connection(app);
    add_organization(app);
    app->add_option("--name", organization_.name, "Name, at most 100 characters")->required();
    app->add_option("--description", organization_.description, "Description");
    app->add_option("--type", organization_.type, "BUSINESS (default), PERSONAL, BRANCH, DISTRIBUTOR, CONTRACTOR, INSTALLER or RESELLER")
        ->transform(
            CLI::IsMember({"BUSINESS", "PERSONAL", "BRANCH", "DISTRIBUTOR", "CONTRACTOR", "INSTALLER", "RESELLER"}, CLI::ignore_case));
    app->add_option("--time-zone", organization_.time_zone, "Time zone, like Europe/Berlin (default UTC)");
    add_list(command(*organizations, "list", "List your organization and all beneath it",
                     [this](Context& context) { return list_organizations(context, list_); }),
             list_);
    app = command(*organizations, "show", "Show an organization", [this](Context& context) { return show_organization(context, id_); });
    add_connection(app);
    app->add_option("organization", id_, "Its id (default: your own)")->check(whole_number(1))->type_name("ID");
    app = command(*organizations, "edit", "Change an organization",
                  [this](Context& context) { return edit_organization(context, id_, organization_); });
    add_connection(app);
    add_organization_id(app);
    app->add_option("--name", organization_.name, "The new name");
    app->add_option("--description", organization_.description, "Description");
    app->add_option("--time-zone", organization_.time_zone, "Time zone, like Europe/Berlin");
    app->add_option("--type", organization_.type, "As for create; for those above it to say")
        ->transform(
            CLI::IsMember({"BUSINESS", "PERSONAL", "BRANCH", "DISTRIBUTOR", "CONTRACTOR", "INSTALLER", "RESELLER"}, CLI::ignore_case));
    app->add_option("--device-limit", organization_.device_limit,
                    "Devices of it and of all beneath it; 0: no limit. For those above it to say")
        ->check(whole_number(0));
    app->add_option("--may-divide", organization_.may_divide, "Whether it may have organizations beneath it. For those above it to say")
        ->check(CLI::IsMember({"yes", "no"}));
    app = command(*organizations, "move", "Move an organization, with everything beneath it, under another one",
                  [this](Context& context) { return move_organization(context, id_, parent_); });
    add_connection(app);
    add_yes(app);
    add_organization_id(app);
    app->add_option("--under", parent_, "Id of the organization that it shall be beneath")->required()->check(whole_number(1));
    app = command(*organizations, "delete", "Delete an organization that has no devices and nothing beneath it",
                  [this](Context& context) { return delete_organization(context, id_); });
    add_connection(app);
    add_yes(app);
    add_organization_id(app);

    auto* const roles = group(app_, "role", "Roles, and what they allow in each organization");
    app = command(*roles, "list", "List the roles", [this](Context& context) { return list_roles(context); });
    add_connection(app);
    add_organization(app);
    app = command(*roles, "show", "Show what a role allows in an organization",
                  [this](Context& context) { return show_role(context, role_.role); });
    add_connection(app);
    add_organization(app);
    add_role(app);
    app = command(*roles, "create", "Make a role, as somebody of the root organization",
                  [this](Context& context) { return create_role(context, role_); });
    add_connection(app);
    app->add_option("name,--name", role_.role, "Its name")->required();
    app->add_option("--permission", role_.permissions, "A permission that it holds, may be repeated; what it needs comes along");
    app =
        command(*roles, "rename", "Give a role another name", [this](Context& context) { return rename_role(context, role_.role, name_); });
    add_connection(app);
    add_role(app);
    app->add_option("name,--name", name_, "The new name")->required();
    const auto change = [&](const char* name, const char* description, const char* how) {
      auto* const made = command(*roles, name, description, [this, how](Context& context) { return change_role(context, role_, how); });
      add_connection(made);
      add_organization(made);
      add_yes(made);
      add_role(made);
      made->add_option("permission,--permission", role_.permissions, "Like ORG_DEVICES_VIEW; may be repeated")->required();
      made->add_flag("--sub-orgs", role_.with_sub_organizations, "Also in all organizations beneath, whatever they said themselves");
    };
    change("grant", "Let a role allow more in an organization; what that needs comes along", "grant");
    change("revoke", "Let a role allow less in an organization; what needs it goes along", "revoke");
    change("set", "Say everything that a role allows in an organization", "permissions");
    app = command(*roles, "delete", "Delete a role; those who have it get another one",
                  [this](Context& context) { return delete_role(context, role_.role, replacement_); });
    add_connection(app);
    add_yes(app);
    add_role(app);
    app->add_option("--replacement", replacement_, "The role that they get")->required()->type_name("ID|NAME");
  }
  void add_job_commands() {
    auto* const jobs = group(app_, "job", "The same thing done to many devices");
    auto* app = command(*jobs, "start", "Start one: for the devices named, or for all that a filter chooses",
                        [this](Context& context) { return start_job(context, bulk_); });
    add_connection(app);
    add_organization(app);
    add_yes(app);
    app->add_option("action", bulk_.action, "transfer, remove-owner, erase or delete")
        ->required()
        ->check(CLI::IsMember({"transfer", "remove-owner", "erase", "delete"}));
    app->add_option("device", bulk_.devices, "Ids of devices (default: all of the organization that the options choose)")
        ->check(whole_number(1))
        ->type_name("ID");
    app->add_option("--template", bulk_.template_id, "Only those of this template")->type_name("ID");
    app->add_option("--owner", bulk_.owner, "Only those of this user")->check(whole_number(1));
    app->add_option("--query", bulk_.query, "Only those that hold this text in their name");
    app->add_flag("--sub-orgs", bulk_.with_sub_organizations, "Also those of the organizations beneath");
    app->add_option("--to-owner", bulk_.to.owner, "Of a transfer: the new owner")->type_name("ID|EMAIL");
    app->add_option("--to-org", bulk_.to.organization, "Of a transfer: the new organization")->check(whole_number(1));
    app = command(*jobs, "list", "List your jobs, newest first", [this](Context& context) { return list_jobs(context); });
    add_connection(app);
    app = command(*jobs, "show", "Show how far a job is", [this](Context& context) { return show_job(context, id_); });
    add_connection(app);
    app->add_option("job", id_, "Its id")->required()->check(whole_number(1))->type_name("ID");
    app = command(*jobs, "cancel", "End a job before its next device", [this](Context& context) { return cancel_job(context, id_); });
    add_connection(app);
    app->add_option("job", id_, "Its id")->required()->check(whole_number(1))->type_name("ID");
  }
  void add_organization_id(CLI::App* app) {
    app->add_option("organization", id_, "Id of the organization")->required()->check(whole_number(1))->type_name("ID");
  }
  void add_role(CLI::App* app) { app->add_option("role", role_.role, "Its id or name")->required()->type_name("ID|NAME"); }

  void add_people_commands() {
    auto* const users = group(app_, "user", "People who sign in");
    auto* app = command(*users, "create", "Make a user; the password comes from a prompt or stdin",
                        [this](Context& context) { return create_user(context, user_); });
    add_connection(app);
    add_organization(app);
    app->add_option("--email", user_.email, "Email address")->required();
    app->add_option("--name", user_.name, "Name");
    app->add_option("--role", user_.role, "Admin, Staff or User (default)");
    add_list(command(*users, "list", "List the users of an organization", [this](Context& context) { return list_users(context, list_); }),
             list_);
    add_account_commands(*users);
    app = command(*users, "disable", "Keep a user from signing in, and end all sessions",
                  [this](Context& context) { return set_user_enabled(context, user_reference_, false); });
    add_connection(app);
    add_organization(app);
    add_yes(app);
    app->add_option("user", user_reference_, "Id or email address")->required()->type_name("ID|EMAIL");
    app = command(*users, "enable", "Let a disabled user sign in again",
                  [this](Context& context) { return set_user_enabled(context, user_reference_, true); });
    add_connection(app);
    add_organization(app);
    app->add_option("user", user_reference_, "Id or email address")->required()->type_name("ID|EMAIL");
    app = command(*users, "passwd", "Set a password: your own, or that of another user",
                  [this](Context& context) { return set_user_password(context, user_reference_); });
    add_connection(app);
    add_organization(app);
    app->add_option("user", user_reference_, "Id or email address (default: yourself)")->type_name("ID|EMAIL");
    app->footer("From stdin: your own takes two lines, the present and the new password; another user's takes one.");

    auto* const audit = group(app_, "audit", "Who did what");
    app = command(*audit, "list", "List the audit log, newest first", [this](Context& context) { return list_audit(context, audit_); });
    add_connection(app);
    add_organization(app);
    add_audit_filter(app);
    add_paging(app, audit_.paging);
    app = command(*audit, "export", "Write the audit log as CSV, newest first",
                  [this](Context& context) { return export_audit(context, audit_); });
    add_connection(app);
    add_organization(app);
    add_audit_filter(app);
    app->add_option("--out", audit_.out, "File to write; must not exist (default: stdout)")->type_name("FILE");
    app->footer("Cells that a spreadsheet would take for a formula have a ' in front. The export itself stands in the log.");
    app = command(*audit, "verify", "Check the audit log of a data directory, with or without its server",
                  [this](Context& context) { return verify_audit(context, verify_audit_); });
    add_data(app, verify_audit_.data);
    add_json(app);
    app->add_option(
           "--head", verify_audit_.heads,
           "File with heads that were kept elsewhere: a copy of files/audit-heads/YYYY-MM, the server's log, what `muster backup` printed")
        ->type_name("FILE");
    app->footer(
        "Exit code 0: whole. 1: tampered with, and says where. Without --head nobody is convicted who had the key and computed all anew.");
  }

  void add_access_commands() {
    const auto scopes = [this](CLI::App* app) {
      app->add_option("--name", access_.name, "What it is for, to people")->required();
      app->add_option("--scope", access_.scopes, "A permission that it has, like ORG_DEVICES_VIEW; repeat it for several")
          ->required()
          ->type_name("PERMISSION");
    };
    const auto common = [this](CLI::App* app, bool with_id) {
      add_connection(app);
      add_organization(app);
      if (with_id) app->add_option("id", access_.id, "Its id, as listed")->required()->type_name("ID")->check(whole_number(1));
    };
    auto* const keys = group(app_, "apikey", "Keys that programs use in place of a person's access token");
    auto* app = command(*keys, "create", "Make a key; its secret is shown once",
                        [this](Context& context) { return create_api_key(context, access_); });
    common(app, false);
    scopes(app);
    app->add_option("--expires", access_.expires, "When it ends: 2026-01-31, \"2026-01-31 09:30\" or Unix milliseconds (default: never)");
    app->add_option("--from-address", access_.addresses, "Address or network that it may be used from; repeat it (default: from anywhere)")
        ->type_name("NETWORK");
    app->add_option("--rate", access_.requests_per_minute, "Requests a minute (default: the server's limit)")->check(whole_number(1));
    common(command(*keys, "list", "List keys, without their secrets", [](Context& context) { return list_api_keys(context); }), false);
    app = command(*keys, "delete", "End a key at once", [this](Context& context) { return delete_api_key(context, access_); });
    common(app, true);
    add_yes(app);

    auto* const clients = group(app_, "oauth", "OAuth2 clients of the platform API");
    app = command(*clients, "create", "Make a client; its secret is shown once",
                  [this](Context& context) { return create_oauth_client(context, access_); });
    common(app, false);
    scopes(app);
    app->add_option("--redirect-url", access_.redirect_urls, "Kept with the client; repeat it for several")->type_name("URL");
    app->add_flag("--no-refresh-tokens", access_.no_refresh_tokens, "Give it access tokens only");
    common(command(*clients, "list", "List clients, without their secrets", [](Context& context) { return list_oauth_clients(context); }),
           false);
    app = command(*clients, "secret", "Give a client another secret; the old one and all its tokens end",
                  [this](Context& context) { return renew_oauth_secret(context, access_); });
    common(app, true);
    add_yes(app);
    app = command(*clients, "revoke", "End all tokens of a client",
                  [this](Context& context) { return revoke_oauth_tokens(context, access_); });
    common(app, true);
    add_yes(app);
    app = command(*clients, "delete", "Delete a client with its tokens",
                  [this](Context& context) { return delete_oauth_client(context, access_); });
    common(app, true);
    add_yes(app);
  }

  void add_audit_filter(CLI::App* app) {
    app->add_option("--action", audit_.action, "Only this action, like device.create; with a dot at the end all that begin so");
    app->add_option("--from", audit_.from, "Not before this time: 2026-01-31, \"2026-01-31 09:30\" or Unix milliseconds");
    app->add_option("--to", audit_.to, "Not after this time");
    app->add_option("--user", audit_.user, "Only what this user did")->type_name("ID")->check(whole_number(1));
    app->add_option("--object", audit_.object, "Only what was done to this: device, user, ...; device:17 for one of them")
        ->type_name("KIND[:ID]");
    app->add_option("--text", audit_.text, "Only entries with this text in action, details, address or name");
    app->add_flag("--sub-orgs", audit_.with_sub_organizations, "Also of the organizations beneath");
  }

  void add_webhook_commands() {
    auto* const hooks = group(app_, "webhook", "Requests to other servers when something happens");
    auto* app = command(*hooks, "create", "Make a webhook and show its signing secret, this once",
                        [this](Context& context) { return create_webhook(context, webhook_); });
    add_connection(app);
    add_organization(app);
    app->add_option("--name", webhook_.name, "Name, at most 80 characters")->required();
    app->add_option("--trigger", webhook_.trigger, "What it waits for, like DEVICE_ADDED or PRODUCT_LOG_EVENT")->required();
    app->add_option("--target", webhook_.url, "Where it goes; placeholders like {device_id} in path and query")
        ->required()
        ->type_name("URL");
    app->add_option("--method", webhook_.method, "GET, POST (default), PUT, PATCH or DELETE");
    app->add_option("--content-type", webhook_.content_type, "Of the body (default: application/json)");
    app->add_option("--body", webhook_.body, "With placeholders (default: everything known of the event, as JSON)");
    app->add_option("--device", webhook_.device, "Only events of this device")->check(whole_number(1))->type_name("ID");
    app->add_option("--template", webhook_.template_id, "Only events of this template's devices")->type_name("ID");
    app->add_option("--pin", webhook_.pin, "Only values of this virtual pin")->check(whole_number(0));
    app->add_option("--event-code", webhook_.event_code, "Only logged events with this code");
    app->add_option("--fail-after", webhook_.fail_after, "Deliveries given up in a row after which it is disabled (default: 5)")
        ->check(whole_number(1));
    app->add_flag("--sub-orgs", webhook_.with_sub_organizations, "Also what happens in organizations beneath");
    app->footer("Headers and credentials are given over the API. How to verify what arrives: docs/guides/webhooks.md");

    app = command(*hooks, "list", "List webhooks", [this](Context& context) { return list_webhooks(context, list_); });
    add_connection(app);
    add_organization(app);
    add_paging(app, list_.paging);

    add_webhook_id(command(*hooks, "show", "Show a webhook", [this](Context& context) { return show_webhook(context, id_); }));
    add_webhook_id(command(*hooks, "enable", "Let a webhook hear of events again",
                           [this](Context& context) { return enable_webhook(context, id_, true); }));
    add_webhook_id(command(*hooks, "disable", "Let a webhook hear of nothing more",
                           [this](Context& context) { return enable_webhook(context, id_, false); }));
    add_webhook_id(
        command(*hooks, "test", "Send a test and tell how it went", [this](Context& context) { return test_webhook(context, id_); }));
    app = add_webhook_id(command(*hooks, "delete", "Delete a webhook", [this](Context& context) { return delete_webhook(context, id_); }));
    add_yes(app);
    app = add_webhook_id(command(*hooks, "deliveries", "List what was sent, newest first",
                                 [this](Context& context) { return list_deliveries(context, id_, delivery_state_, list_.paging); }));
    app->add_option("--state", delivery_state_, "Only those")->check(CLI::IsMember({"WAITING", "DELIVERED", "GIVEN_UP"}));
    add_paging(app, list_.paging);
    app = command(*hooks, "replay", "Send a delivery once more, with the same id",
                  [this](Context& context) { return replay_delivery(context, id_); });
    add_connection(app);
    add_organization(app);
    app->add_option("delivery,--delivery", id_, "Id of the delivery")->required()->check(whole_number(1))->type_name("ID");
  }
  CLI::App* add_webhook_id(CLI::App* app) {
    add_connection(app);
    add_organization(app);
    app->add_option("webhook,--webhook", id_, "Id of the webhook")->required()->check(whole_number(1))->type_name("ID");
    return app;
  }

  void add_offline_commands() {
    auto* app = command(app_, "backup", "Write an encrypted backup of a server, also while it runs",
                        [this](Context& context) { return back_up(context, backup_); });
    add_data(app, backup_.data);
    add_json(app);
    app->add_option("file,--out", backup_.out, "File to write; must not exist")->required()->type_name("FILE");
    app->add_option("--recipient", backup_.recipients,
                    "age public key (age1...) that may restore; repeat it for several (default: a passphrase, from a prompt or stdin)")
        ->type_name("AGE-KEY");
    app->footer("Holds database, keys, certificates and files. It is an age file with a tar file inside: `age -d FILE | tar t` lists it.");

    app = command(app_, "restore", "Restore a backup into a new data directory", [this](Context& context) -> Outcome<void> {
      if (restore_.complete)
        return restore_.in.empty() ? complete_restore(context, restore_.data)
                                   : Outcome<void>{usage("--complete takes no backup: it ends a restore that was done before.")};
      if (!restore_.data.store_url.empty())
        return usage("--store goes with --complete only: a backup is restored into the data directory itself.");
      if (restore_.in.empty()) return usage("Say which backup to restore: muster restore FILE --data DIR");
      return restore(context, restore_);
    });
    add_data(app, restore_.data);
    add_json(app);
    add_yes(app);
    app->add_option("file,--in", restore_.in, "The backup")->type_name("FILE");
    app->add_option("--identity", restore_.identity, "File with the age secret key, for a backup made with --recipient")->type_name("FILE");
    app->add_flag("--complete", restore_.complete,
                  "Say that no device made after the backup is missing: unknown AuthTokens are invalid again");
    app->footer(
        "A restored store does not know the newest AuthTokens. Until `muster restore --complete --data DIR`, devices with an unknown one "
        "are held, never called invalid.");

    auto* const keys = group(app_, "key", "The keys that digest and seal secrets");
    app = command(*keys, "rotate", "Make a new key and take every AuthToken over to it, also while the server runs",
                  [this](Context& context) { return rotate_keys(context, data_); });
    add_data(app, data_);
    add_json(app);
    app->footer("May be cut off at any time: run it again and it goes on.");

    auto* const admin = group(app_, "admin", "Help for who is locked out");
    app = command(*admin, "recover", "Give an administrator a new password, on the data directory",
                  [this](Context& context) { return recover_administrator(context, recover_); });
    add_data(app, recover_.data);
    add_json(app);
    app->add_option("--email", recover_.email, "Email address of the administrator (default: the only one there is)");
    app->add_flag("--make-administrator", recover_.make_administrator, "The address is no administrator yet: make it one");
  }

  void add_other_commands() {
    add_json(command(app_, "version", "Print the version", [](Context& context) -> Outcome<void> {
      context.out << (context.globals.json ? "{\"version\":\"" MUSTER_VERSION "\"}\n" : "muster " MUSTER_VERSION "\n");
      return {};
    }));
    auto* const completion =
        command(app_, "completion", "Print a completion script for a shell", [this](Context& context) -> Outcome<void> {
          context.out << completion_script(tree(), shell_).value_or("");
          return {};
        });
    completion->add_option("shell", shell_, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}))
        ->type_name("SHELL");
    completion->footer(
        "bash: source <(muster completion bash)    zsh: muster completion zsh > DIR-IN-FPATH/_muster    fish: muster completion fish | "
        "source");
  }

  Outcome<void> run_server(Context& context) {
    if (print_config_) {
      context.out << main::describe_config();
      return {};
    }
    const int code = main::serve(serve_);  // It says itself what went wrong.
    return code == 0 ? Outcome<void>{} : Outcome<void>{Failure{code, {}, {}}};
  }

  // --- help and mistakes ------------------------------------------------------------------------------------------------------------
  [[nodiscard]] CLI::App* deepest() {
    CLI::App* app = &app_;
    for (auto below = app->get_subcommands(); !below.empty(); below = app->get_subcommands()) app = below.back();
    return app;
  }
  [[nodiscard]] std::string path_of(const CLI::App* app) const {
    return app == &app_ ? "muster" : path_of(app->get_parent()) + " " + app->get_name();
  }
  static bool is_any_of(const CLI::ParseError& error, std::initializer_list<CLI::ExitCodes> codes) {
    return std::any_of(codes.begin(), codes.end(), [&](CLI::ExitCodes code) { return error.get_exit_code() == static_cast<int>(code); });
  }
  /// The option that no command on the way knows; empty when it is not that which is wrong first.
  [[nodiscard]] std::string unknown_option(const CLI::ParseError& error) const {
    if (!is_any_of(error, {CLI::ExitCodes::ExtrasError, CLI::ExitCodes::RequiredError})) return {};
    const auto left = app_.remaining(true);
    if (left.empty() || left.front().size() < 2 || left.front().front() != '-') return {};
    return left.front().substr(0, left.front().find('='));
  }
  static void explain_unknown_option(const CLI::App& app, const std::string& path, const std::string& name, std::ostream& err) {
    if (app.get_option_no_throw(name) != nullptr) {  // It stood before the command that it belongs to.
      err << path << ": write " << name << " behind the command: " << path << " " << name << " ...\n";
      return;
    }
    std::vector<std::string> options;
    for (const auto* const option : app.get_options()) {
      for (const auto& long_name : option->get_lnames()) options.push_back("--" + long_name);
    }
    const auto meant = nearest(name, options);
    err << path << ": there is no option " << printable(name) << (meant.empty() ? "." : "; did you mean " + meant + "?") << "\n";
  }
  void explain(const CLI::ParseError& error, const std::vector<std::string>& arguments, std::ostream& err) {
    CLI::App* const app = deepest();
    const auto path = path_of(app);
    if (const auto option = unknown_option(error); !option.empty()) {
      explain_unknown_option(*app, path, option, err);
      err << "Run `" << path << " --help` for help.\n";
      return;
    }
    std::vector<std::string> known;
    for (const auto* const sub : app->get_subcommands([](const CLI::App*) { return true; })) known.push_back(sub->get_name());
    // A group without a command of its own: the first word behind it is a typing mistake.
    const bool is_about_a_value =
        is_any_of(error, {CLI::ExitCodes::ValidationError, CLI::ExitCodes::ArgumentMismatch, CLI::ExitCodes::ConversionError});
    if (!known.empty() && !is_about_a_value) {
      std::size_t depth = 0;
      for (const CLI::App* above = app; above != &app_; above = above->get_parent()) ++depth;
      std::size_t seen = 0;
      std::string word;
      for (const auto& argument : arguments) {
        if (argument.starts_with('-')) continue;
        if (seen++ == depth) {
          word = argument;
          break;
        }
      }
      if (word.empty()) {
        err << path << ": say what to do: ";
        for (std::size_t i = 0; i < known.size(); ++i) err << (i == 0 ? "" : i + 1 == known.size() ? " or " : ", ") << known[i];
        err << ".\n";
      } else {
        const auto meant = nearest(word, known);
        // docs/guides name them; whoever types one shall not look for a typing mistake.
        constexpr std::array<std::string_view, 3> to_come{"provision", "token", "claim"};
        if (app == &app_ && std::find(to_come.begin(), to_come.end(), word) != to_come.end()) {
          err << path << ": \"" << word << "\" is not there yet: it comes with a later version.\n";
          return;
        }
        err << path << ": there is no command \"" << printable(word) << "\"" << (meant.empty() ? "" : "; did you mean " + meant + "?")
            << (meant.empty() ? ".\n" : "\n");
      }
    } else {
      err << path << ": " << printable(error.what()) << "\n";
    }
    err << "Run `" << path << " --help` for help.\n";
  }

  static CommandTree tree_of(const CLI::App& app, const std::string& name) {
    CommandTree made{name, app.get_description(), {}, {}};
    for (const auto* const option : app.get_options()) {
      for (const auto& long_name : option->get_lnames())
        made.options.push_back({"--" + long_name, option->get_description(), option->get_items_expected_max() > 0});
    }
    for (const auto* const sub : app.get_subcommands([](const CLI::App*) { return true; }))
      made.commands.push_back(tree_of(*sub, sub->get_name()));
    return made;
  }

  CLI::App app_{"", "muster"};
  Action action_;
  Globals globals_;
  main::ServeOptions serve_;
  bool print_config_ = false;
  SetupOptions setup_;
  TemplateOptions template_;
  DatastreamOptions stream_;
  DeviceCreateOptions device_;
  DeviceListOptions devices_;
  ListOptions list_;
  WatchOptions watch_;
  ProvisionOptions provision_;
  TransferOptions transfer_;
  OrganizationOptions organization_;
  RoleOptions role_;
  BulkOptions bulk_;
  UserOptions user_;
  UserTransferOptions user_transfer_;
  std::optional<std::int64_t> session_;
  AuditOptions audit_;
  AccessOptions access_;
  VerifyAuditOptions verify_audit_;
  WebhookOptions webhook_;
  TimelineOptions timeline_;
  BackupOptions backup_;
  RestoreOptions restore_;
  RecoverOptions recover_;
  std::string email_, template_id_, name_, user_reference_, replacement_, shell_, delivery_state_;
  DataOptions data_;
  std::optional<std::int64_t> stream_id_;
  std::int64_t id_ = 0, parent_ = 0;
  bool with_devices_ = false, regenerate_ = false;
};

}  // namespace

bool parses(const std::vector<std::string>& arguments, std::ostream& err) {
  std::ostringstream help;
  return CommandLine{}.parse(arguments, help, err).value_or(exit_ok) == exit_ok;
}

int run(const std::vector<std::string>& arguments, Input& input, std::ostream& out, std::ostream& err) {
  CommandLine line;
  if (const auto code = line.parse(arguments, out, err)) return *code;
  Context context{line.globals(), input, out, err};
  const auto result = line.action()(context);
  out.flush();
  if (result) return out ? exit_ok : exit_failed;
  if (const auto failure = result.error(); !failure.message.empty()) {
    // Scripts read the code, people the sentence.
    if (line.globals().json && !failure.code.empty())
      err << json::serialize(json::value{{"error", {{"code", failure.code}, {"message", failure.message}}}}) << "\n";
    else
      err << "muster: " << failure.message << "\n";
  }
  return result.error().exit_code;
}

}  // namespace muster::cli
