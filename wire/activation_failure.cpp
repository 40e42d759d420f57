// SPDX-License-Identifier: Apache-2.0
#include "wire/activation_failure.hpp"

#include "wire/device_failures.hpp"

namespace muster::wire {
namespace {

using F = ActivationFailure;

constexpr FailureText other_failures[] = {
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
    {F::device_busy, "device_busy", "The device is being set up by somebody else.",
     "It is trying the settings that another phone or computer has sent it.",
     "Wait a minute, until its light shows set-up mode again, and try once more."},
};

template <std::size_t A, std::size_t B>
struct Joined {
  FailureText rows[A + B];
};

template <std::size_t A, std::size_t B>
constexpr Joined<A, B> join(const FailureText (&first)[A], const FailureText (&second)[B]) noexcept {
  Joined<A, B> all{};
  std::size_t at = 0;
  for (const FailureText& row : first) {
    all.rows[at++] = row;
  }
  for (const FailureText& row : second) {
    all.rows[at++] = row;
  }
  return all;
}

constexpr auto catalogue = join(device_failures, other_failures);

}  // namespace

FailureCatalogue failure_catalogue() noexcept { return {catalogue.rows, sizeof catalogue.rows / sizeof catalogue.rows[0]}; }

const FailureText* find_failure(std::uint16_t code) noexcept {
  for (const FailureText& row : catalogue.rows) {
    if (static_cast<std::uint16_t>(row.code) == code) {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace muster::wire
