// SPDX-License-Identifier: Apache-2.0
#include "wire/activation_failure.hpp"

namespace muster::wire {
namespace {

using F = ActivationFailure;

constexpr FailureText catalogue[] = {
    {F::settings_invalid, "settings_invalid", "The device did not take the settings.",
     "The token, the network name or the password has a length that no network takes, or the device could not store them.",
     "Check the password: 8 to 63 characters, or 64 hexadecimal digits. If it is right, restart the device and try again."},
    {F::network_timeout, "network_timeout", "The device could not join the Wi-Fi network in time.",
     "The network is too weak where the device is, the password is wrong, or the router is busy.",
     "Move the device nearer to the router, check the password, and try again."},
    {F::cloud_timeout, "cloud_timeout", "The device joined the network but did not reach the cloud in time.",
     "The network has no Internet access, a firewall blocks the cloud's port, or the cloud is down.",
     "Check that another device on this network reaches the cloud's address, and that its port is open."},
    {F::token_refused, "token_refused", "The cloud refused the device's token.",
     "The token was used up, expired, canceled, or belongs to another cloud.", "Start the set-up again: it brings a new token."},
    {F::network_other, "network_other", "The device could not join the network.",
     "The radio or the router refused for a reason of its own.", "Restart the device and the router, and try again."},
    {F::cloud_other, "cloud_other", "The cloud could not let the device in.",
     "The cloud was busy or starting, or it closed the connection without giving a reason.",
     "Wait a minute and try again; the provisioning session in the cloud may say more."},
    {F::dns_failed, "dns_failed", "The device could not find the cloud's address.",
     "The network's name service does not answer, or does not know the cloud's name.",
     "Check the network's Internet access and DNS, and that the cloud's host name is right."},
    {F::certificate_invalid, "certificate_invalid", "The device does not trust the cloud's certificate.",
     "The certificate has expired, is for another name, is signed by a CA that the device does not have, or the device's clock is wrong.",
     "Check the cloud's certificate and its name; a cloud with a private CA needs that CA on the device."},
    {F::captive_portal, "captive_portal", "The network wants a sign-in page before it lets anyone out.",
     "It is a guest network with a captive portal.", "Use a network without a sign-in page, or register the device with the network."},
    {F::network_not_found, "network_not_found", "The device does not see this Wi-Fi network.",
     "The name is not exactly right, the network is out of reach, or it is on a band that the device has not (5 GHz).",
     "Choose the network from the list that the device shows, or move the device nearer to the router."},
    {F::no_cable, "no_cable", "There is no network cable in the device.", "The cable is not plugged in, or its other end is not.",
     "Plug the cable in and try again."},
    {F::wrong_password, "wrong_password", "The Wi-Fi password is wrong.", "The router refused the password.",
     "Type the password again; upper and lower case matter."},
    {F::no_address, "no_address", "The device joined the network but got no address.",
     "The router's DHCP did not answer, has no address left, or admits only known devices.",
     "Restart the router, or give the device a fixed address."},
    {F::sim_missing, "sim_missing", "There is no SIM card in the device.", "The card is missing or not seated well.",
     "Insert the SIM card and try again."},
    {F::sim_locked, "sim_locked", "The SIM card is locked.", "It wants a PIN that the device was not given.",
     "Give the PIN, or take the lock off the card."},
    {F::sim_wrong_pin, "sim_wrong_pin", "The SIM card's PIN is wrong.", "The card refused the PIN.",
     "Check the PIN; after three wrong ones the card needs its PUK."},

    {F::template_unknown, "template_unknown", "The cloud does not know this kind of device.",
     "The template id in the firmware does not exist in this cloud.",
     "Create the template, or build the firmware with the id of a template of this cloud."},
    {F::template_foreign, "template_foreign", "This kind of device belongs to another organization.",
     "The template id in the firmware is not available to the organization that the device shall join.",
     "Set the device up in the organization that has its template."},
    {F::info_missing, "info_missing", "The device logged in but did not say what it is.",
     "The firmware sends no info block: it is no provisioning firmware, or the connection broke.",
     "Use firmware that announces its template after login, and try again."},
    {F::expired, "expired", "The set-up was not finished in time.", "The token waited longer than it lives.",
     "Start the set-up again: it brings a new token."},
    {F::canceled, "canceled", "The set-up was canceled.", "Somebody canceled it.", "Start it again when you are ready."},
    {F::superseded, "superseded", "A newer set-up of the same device took over.", "The set-up was started twice.",
     "Go on with the newer one."},
    {F::plain_text_refused, "plain_text_refused", "The cloud refused an unencrypted connection.",
     "The device talks plain text from a public address, which this cloud does not allow.",
     "Use firmware with TLS, or allow plain text for this template."},
    {F::device_limit, "device_limit", "The organization has no place for another device.", "Its limit of devices is reached.",
     "Delete devices that are gone, or ask the operator for a higher limit."},
    {F::owner_gone, "owner_gone", "The device's owner is no longer there.",
     "The account was deleted, suspended or moved during the set-up.", "Start the set-up again from an active account."},
    {F::template_differs, "template_differs", "This is another kind of device than the one that is being set up.",
     "The template id in the firmware is not the one that the set-up was started for, or not that of the device that it replaces.",
     "Take a device of the right kind, or start the set-up for this kind."},

    {F::device_not_found, "device_not_found", "No device that waits for set-up was found.",
     "The device is not in set-up mode, too far away, or its name begins with another prefix.",
     "Hold the device's button until its light shows set-up mode, come nearer, and search again."},
    {F::device_unreachable, "device_unreachable", "The device's own network was joined, but the device does not answer.",
     "The device restarted, or another app is setting it up.", "Wait until its light shows set-up mode, and try again."},
    {F::device_answer_bad, "device_answer_bad", "The device answered something that makes no sense.",
     "It is not a device of a kind known here, or its firmware is faulty.", "Check which device this is, and update its firmware."},
    {F::template_not_in_account, "template_not_in_account", "This kind of device cannot be added to this account.",
     "The device's template is not among those of the account's organization.",
     "Sign in to the account that the device is meant for, or ask its maker."},
    {F::ssid_too_long, "ssid_too_long", "The network's name does not fit into this device.", "The device takes names of at most 31 bytes.",
     "Use a network with a shorter name."},
    {F::password_unsuitable, "password_unsuitable", "This cannot be the password of a Wi-Fi network.",
     "Passwords have 8 to 63 characters, or 64 hexadecimal digits, and some devices take no more than 63.", "Check the password."},
    {F::sign_in_refused, "sign_in_refused", "The cloud refused to give a token.",
     "The sign-in has ended, or the account may not provision devices.", "Sign in again, or ask an administrator for the permission."},
    {F::cloud_unreachable, "cloud_unreachable", "The cloud does not answer this computer.",
     "There is no Internet access, or the cloud is down.", "Check this computer's network and the cloud's address."},
    {F::host_unusable, "host_unusable", "This device cannot dial this cloud.",
     "The cloud's host name is longer than the device can keep, or the cloud listens on no port that the device dials.",
     "Run the cloud at a host name of at most 33 characters, on ports 80 and 443."},
    {F::device_silent, "device_silent", "The device took the settings, and then nothing was heard of it.",
     "It could not join, or lost its power; this kind of device cannot tell.",
     "Look at its light: set-up mode again means that the network or its password was wrong."},
    {F::stopped_by_user, "stopped_by_user", "The set-up was stopped.", "It was interrupted on this computer.",
     "Start it again when you are ready."},
    {F::radio_unusable, "radio_unusable", "This computer's radio cannot be used.",
     "There is no such radio, another program holds it, or the rights are missing.",
     "Choose another radio, run as a user who may use it, or give the device's address with --device-url."},
};

struct Message {
  ActivationFailure code;
  FailureMessage said;
};
constexpr Message messages[] = {
    {F::settings_invalid, {"connect_fail", ""}},
    {F::network_timeout, {"net_fail", "timeout"}},
    {F::cloud_timeout, {"cloud_fail", "timeout"}},
    {F::token_refused, {"cloud_fail", "auth_failed"}},
    {F::network_other, {"net_fail", "generic"}},
    {F::cloud_other, {"cloud_fail", "generic"}},
    {F::dns_failed, {"cloud_fail", "dns_failed"}},
    {F::certificate_invalid, {"cloud_fail", "invalid_certificate"}},
    {F::captive_portal, {"cloud_fail", "captive_portal"}},
    {F::network_not_found, {"net_fail", "not_found"}},
    {F::no_cable, {"net_fail", "no_cable"}},
    {F::wrong_password, {"net_fail", "invalid_credentials"}},
    {F::no_address, {"net_fail", "no_ip_assigned"}},
    {F::sim_missing, {"net_fail", "sim_missing"}},
    {F::sim_locked, {"net_fail", "sim_locked"}},
    {F::sim_wrong_pin, {"net_fail", "sim_wrong_pin"}},
};

}  // namespace

FailureCatalogue failure_catalogue() noexcept { return {catalogue, sizeof catalogue / sizeof catalogue[0]}; }

const FailureText* find_failure(std::uint16_t code) noexcept {
  for (const FailureText& row : catalogue) {
    if (static_cast<std::uint16_t>(row.code) == code) {
      return &row;
    }
  }
  return nullptr;
}

FailureMessage failure_message(ActivationFailure code) noexcept {
  for (const Message& message : messages) {
    if (message.code == code) {
      return message.said;
    }
  }
  return {};
}

ActivationFailure failure_of(std::string_view type, std::string_view reason) noexcept {
  for (const Message& message : messages) {
    if (message.said.type == type && message.said.reason == reason) {
      return message.code;
    }
  }
  if (type == "net_fail") {
    return F::network_other;
  }
  if (type == "cloud_fail") {
    return F::cloud_other;
  }
  return type == "connect_fail" ? F::settings_invalid : F::none;
}

}  // namespace muster::wire
