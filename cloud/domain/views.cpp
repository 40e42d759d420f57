// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/views.hpp"

#include <algorithm>
#include <new>
#include <set>
#include <utility>
#include <vector>

namespace muster::domain {

namespace {

constexpr std::size_t batch_rows = 1000;

/// What the listener will be told once no lock is held.
struct News {
  std::vector<std::pair<DeviceId, AuthTokenId>> token_gone;
  std::vector<DeviceId> device_gone;
  std::vector<UserId> access_tokens_changed;
  std::vector<ProvisionSession> provision_sessions;
  bool permissions_changed = false;
  bool settings_changed = false;

  void tell(Views::Listener* listener) const {
    if (listener == nullptr) return;
    for (const auto device : device_gone) listener->device_gone(device);
    for (const auto& [device, token] : token_gone) listener->token_gone(device, token);
    if (permissions_changed) listener->permissions_changed();
    for (const auto user : access_tokens_changed) listener->access_tokens_changed(user);
    for (const auto& session : provision_sessions) listener->provision_session_changed(session);
    if (settings_changed) listener->settings_changed();
  }
};

}  // namespace

/// The work itself; every member function runs under `mutex_`.
class Views::Follower {
 public:
  Follower(Views& views, News& news) noexcept : views_{views}, store_{views.store_}, news_{news} {}

  Result<void> rebuild() {
    // The change first, then the rows: what changes in between is applied again later, which does no harm.
    MUSTER_TRY(const auto newest, store_.newest_change());
    MUSTER_TRY(const auto mode, store_.unknown_tokens());

    Directory directory;
    MUSTER_TRY(const auto organizations, store_.organizations());
    for (const auto& organization : organizations) directory.put_organization(organization);
    MUSTER_TRY(const auto roles, store_.roles());
    directory.keep_only_roles(roles);
    MUSTER_TRY(const auto users, store_.all_users());
    for (const auto& user : users) directory.put_user(user);
    MUSTER_TRY(auto templates, store_.templates());
    for (auto& value : templates) directory.put_template(std::move(value));
    MUSTER_TRY_VOID(store_.for_each_device([&](const DeviceRow& row) { directory.put_device(row); }));
    MUSTER_TRY_VOID(store_.for_each_device_home([&](DeviceId id, const Home& home) { directory.put_device_home(id, home); }));

    CredentialIndex credentials;
    credentials.reserve(directory.device_count());
    std::vector<std::uint16_t> key_ids;
    MUSTER_TRY_VOID(store_.for_each_live_token([&](const TokenRecord& record) {
      if (std::find(key_ids.begin(), key_ids.end(), record.digest.key_id) == key_ids.end()) key_ids.push_back(record.digest.key_id);
      credentials.apply(record);
    }));
    // All of them again: the store may be another one than last time. After the scan, because the check reads the store.
    views_.keys_met_.clear();
    for (const auto key_id : key_ids) MUSTER_TRY_VOID(meet_key(key_id));
    if (views_.seen_ip_) MUSTER_TRY_VOID(store_.for_each_seen_ip(views_.seen_ip_));

    ProvisionDirectory provisioning;
    MUSTER_TRY(const auto sessions, store_.live_provision_sessions());
    for (const auto& session : sessions) provisioning.put(session);

    const bool again = views_.ready();
    views_.directory.swap(directory);
    views_.provisioning.swap(provisioning);
    views_.credentials.swap(credentials);
    views_.hold_unknown_.store(mode != UnknownTokens::refuse, std::memory_order_release);
    views_.applied_.store(newest, std::memory_order_release);
    views_.ready_.store(true, std::memory_order_release);
    if (again) compare(credentials, directory);
    return {};
  }

  Result<void> catch_up() {
    while (true) {
      MUSTER_TRY(const auto changes, store_.changes_after(views_.applied_change(), batch_rows));
      if (changes.too_far_behind) return rebuild();
      if (changes.rows.empty()) return {};
      // Of several changes of one entity in a batch only one counts: all read its present state.
      std::set<std::pair<ChangeKind, std::int64_t>> done;
      for (const auto& change : changes.rows) {
        if (done.emplace(change.kind, change.id).second) MUSTER_TRY_VOID(apply(change));
        views_.applied_.store(change.seq, std::memory_order_release);
      }
      if (changes.rows.size() < batch_rows) return {};
    }
  }

 private:
  /// After a rebuild nobody knows what went in between: whatever was here before and is not now.
  void compare(const CredentialIndex& old_credentials, const Directory& old_directory) {
    old_credentials.for_each([&](AuthTokenId id, DeviceId device) {
      if (!views_.credentials.find(id)) news_.token_gone.emplace_back(device, id);
    });
    old_directory.for_each_device([&](DeviceId id, const DevicePlace&) {
      if (!views_.directory.device(id)) news_.device_gone.push_back(id);
    });
    news_.permissions_changed = true;
    news_.access_tokens_changed.assign(1, UserId{});
    news_.settings_changed = true;
  }

  Result<void> apply(const Change& change) {
    switch (change.kind) {
      case ChangeKind::token: return apply_token(AuthTokenId{change.id});
      case ChangeKind::device: return apply_device(DeviceId{static_cast<std::int32_t>(change.id)});
      case ChangeKind::template_: {
        const TemplateId id{static_cast<std::int32_t>(change.id)};
        MUSTER_TRY(auto value, store_.find_template(id));
        if (value) {
          views_.directory.put_template(std::move(*value));
        } else {
          views_.directory.remove_template(id);
        }
        return {};
      }
      case ChangeKind::organization: {
        const OrganizationId id{static_cast<std::int32_t>(change.id)};
        MUSTER_TRY(const auto organization, store_.find_organization(id));
        if (organization) {
          views_.directory.put_organization(*organization);
        } else {
          views_.directory.remove_organization(id);
        }
        news_.permissions_changed = true;
        return {};
      }
      case ChangeKind::user: {
        const UserId id{change.id};
        MUSTER_TRY(const auto user, store_.find_user(id));
        if (user) {
          views_.directory.put_user(*user);
        } else {
          views_.directory.remove_user(id);
        }
        news_.permissions_changed = true;
        return {};
      }
      case ChangeKind::role: {
        MUSTER_TRY(const auto roles, store_.roles());
        views_.directory.keep_only_roles(roles);
        news_.permissions_changed = true;
        return {};
      }
      case ChangeKind::access_token: {
        // No view holds them; streams opened with one are checked again.
        news_.access_tokens_changed.push_back(UserId{change.id});
        return {};
      }
      case ChangeKind::settings: {
        MUSTER_TRY(const auto mode, store_.unknown_tokens());
        views_.hold_unknown_.store(mode != UnknownTokens::refuse, std::memory_order_release);
        news_.settings_changed = true;
        return {};
      }
      case ChangeKind::provision_session: {
        const ProvisionSessionId id{change.id};
        MUSTER_TRY(const auto session, store_.find_provision_session(id));
        if (session) {
          views_.provisioning.put(*session);
          news_.provision_sessions.push_back(*session);
        } else {
          views_.provisioning.remove(id);
        }
        return {};
      }
    }
    return {};  // A kind of a newer version: nothing here depends on it.
  }

  Result<void> apply_token(AuthTokenId id) {
    MUSTER_TRY(const auto record, store_.find_token_by_id(id));
    const auto before = views_.credentials.find(id);
    TokenRecord present;
    present.id = id;
    present.kind = TokenKind::revoked;  // Also when no row is left.
    if (record) present = *record;
    if (present.kind != TokenKind::revoked) MUSTER_TRY_VOID(meet_key(present.digest.key_id));
    // Noted first: were there no memory for it afterwards, nobody would ever be told.
    if (before && (present.kind == TokenKind::revoked || present.device_id != before->device_id))
      news_.token_gone.emplace_back(before->device_id, id);
    views_.credentials.apply(present);
    return {};
  }

  Result<void> meet_key(std::uint16_t key_id) {
    auto& met = views_.keys_met_;
    if (!views_.key_check_ || std::find(met.begin(), met.end(), key_id) != met.end()) return {};
    MUSTER_TRY_VOID(views_.key_check_(key_id));
    met.push_back(key_id);
    return {};
  }

  Result<void> apply_device(DeviceId id) {
    MUSTER_TRY(const auto device, store_.find_device(id));
    const auto before = views_.directory.device(id);
    if (!device) {
      if (before) news_.device_gone.push_back(id);
      views_.directory.remove_device(id);
      return {};
    }
    views_.directory.put_device({id, device->organization_id, device->template_id, device->owner_id});
    views_.directory.put_device_home(id, device->home);
    if (before && (before->organization_id != device->organization_id || before->owner_id != device->owner_id))
      news_.permissions_changed = true;
    return {};
  }

  Views& views_;
  Store& store_;
  News& news_;
};

Views::Views(Store& store) : store_{store} {}
Views::~Views() = default;

Result<void> Views::rebuild() {
  News news;
  const auto result = [&] {
    const std::lock_guard lock{mutex_};
    return Follower{*this, news}.rebuild();
  }();
  news.tell(listener_);
  return result;
}

Result<void> Views::catch_up() {
  News news;
  try {
    const auto result = [&] {
      const std::lock_guard lock{mutex_};
      Follower follower{*this, news};
      return ready() ? follower.catch_up() : follower.rebuild();
    }();
    // Also after an error, or without memory: what was applied before it is true, and nobody would be told again.
    news.tell(listener_);
    return result;
  } catch (const std::bad_alloc&) {
    news.tell(listener_);
    throw;
  }
}

}  // namespace muster::domain
