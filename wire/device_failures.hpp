// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "wire/activation_failure.hpp"

/// The rows of the catalogue that a device can tell of itself. Apart, so that a microcontroller carries no others; for the two sources that
/// look something up in them.
namespace muster::wire {

inline constexpr FailureText device_failures[] = {
    {ActivationFailure::settings_invalid, "settings_invalid", "The device did not take the settings.",
     "One of them cannot be right as it is: token, network, password, the cloud's host or port, an address. Or the device could not store "
     "them.",
     "Check each: a password has 8 to 63 characters or 64 hexadecimal digits, a token 32 characters. If all are right, restart the "
     "device."},
    {ActivationFailure::network_timeout, "network_timeout", "The device could not join the Wi-Fi network in time.",
     "The network is too weak where the device is, the password is wrong, or the router is busy.",
     "Move the device nearer to the router, check the password, and try again."},
    {ActivationFailure::cloud_timeout, "cloud_timeout", "The device joined the network but did not reach the cloud in time.",
     "The network has no Internet access, a firewall blocks the cloud's port, or the cloud is down.",
     "Check that another device on this network reaches the cloud's address, and that its port is open."},
    {ActivationFailure::token_refused, "token_refused", "The cloud refused the device's token.",
     "The token was used up, expired, canceled, or belongs to another cloud.", "Start the set-up again: it brings a new token."},
    {ActivationFailure::network_other, "network_other", "The device could not join the network.",
     "The radio or the router refused for a reason of its own.", "Restart the device and the router, and try again."},
    {ActivationFailure::cloud_other, "cloud_other", "The cloud could not let the device in.",
     "The cloud was busy or starting, or it closed the connection without giving a reason.",
     "Wait a minute and try again; the provisioning session in the cloud may say more."},
    {ActivationFailure::dns_failed, "dns_failed", "The device could not find the cloud's address.",
     "The network's name service does not answer, or does not know the cloud's name.",
     "Check the network's Internet access and DNS, and that the cloud's host name is right."},
    {ActivationFailure::certificate_invalid, "certificate_invalid", "The device does not trust the cloud's certificate.",
     "The certificate has expired, is for another name, is signed by a CA that the device does not have, or the device's clock is wrong.",
     "Check the cloud's certificate and its name; a cloud with a private CA needs that CA on the device."},
    {ActivationFailure::captive_portal, "captive_portal", "The network wants a sign-in page before it lets anyone out.",
     "It is a guest network with a captive portal.", "Use a network without a sign-in page, or register the device with the network."},
    {ActivationFailure::network_not_found, "network_not_found", "The device does not see this Wi-Fi network.",
     "The name is not exactly right, the network is out of reach, or it is on a band that the device has not (5 GHz).",
     "Choose the network from the list that the device shows, or move the device nearer to the router."},
    {ActivationFailure::no_cable, "no_cable", "There is no network cable in the device.",
     "The cable is not plugged in, or its other end is not.", "Plug the cable in and try again."},
    {ActivationFailure::wrong_password, "wrong_password", "The Wi-Fi password is wrong.", "The router refused the password.",
     "Type the password again; upper and lower case matter."},
    {ActivationFailure::no_address, "no_address", "The device joined the network but got no address.",
     "The router's DHCP did not answer, has no address left, or admits only known devices.",
     "Restart the router, or give the device a fixed address."},
    {ActivationFailure::sim_missing, "sim_missing", "There is no SIM card in the device.", "The card is missing or not seated well.",
     "Insert the SIM card and try again."},
    {ActivationFailure::sim_locked, "sim_locked", "The SIM card is locked.", "It wants a PIN that the device was not given.",
     "Give the PIN, or take the lock off the card."},
    {ActivationFailure::sim_wrong_pin, "sim_wrong_pin", "The SIM card's PIN is wrong.", "The card refused the PIN.",
     "Check the PIN; after three wrong ones the card needs its PUK."},
};

}  // namespace muster::wire
