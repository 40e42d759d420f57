// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/provision_json.hpp"

#include "cloud/domain/provision_session_life_cycle.hpp"
#include "wire/activation_failure.hpp"

namespace muster::api {
namespace {

static_assert(domain::stopped_by_person == static_cast<std::uint16_t>(wire::ActivationFailure::stopped_by_user));

std::string_view source_word(domain::StepSource source) {
  switch (source) {
    case domain::StepSource::app: return "app";
    case domain::StepSource::agent: return "agent";
    case domain::StepSource::cloud: return "cloud";
  }
  return "";
}

std::string email_of(const domain::Directory& directory, UserId id) {
  const auto user = directory.user(id);
  return user ? user->email : std::string{};
}

}  // namespace

void write_provision_session(JsonWriter& json, const domain::Directory& directory, const domain::ProvisionSession& session) {
  const auto published = directory.find_template(session.template_id);
  json.add("id", session.id.value())
      .add("orgId", session.organization_id.value())
      .add("kind", session.kind == domain::ProvisionKind::new_device ? "new" : "reconfigure")
      .add("state", domain::provision_state_name(session.state))
      .add("deviceId", session.device_id.value())
      .add("templateId", published && !published->tmpl_ids.empty() ? std::string_view{published->tmpl_ids.front()} : std::string_view{})
      .add("ownerId", session.owner_id.value())
      .add("ownerEmail", email_of(directory, session.owner_id))
      .add("createdBy", session.created_by.value())
      .add("email", email_of(directory, session.created_by))
      .add("client", session.client)
      .add("uid", session.uid)
      .add("createdAt", session.created_at.ms)
      .add("updatedAt", session.updated_at.ms)
      .add("expiresAt", session.expires_at.ms)
      .add("acceptedAt", session.accepted_at.ms)
      .add("firstValueAt", session.first_value_at.ms)
      .add("endedAt", session.ended_at.ms);
  if (session.failure_code == 0) {
    json.add_null("failure");
    return;
  }
  json.object("failure").add("code", session.failure_code);
  if (const auto* text = wire::find_failure(session.failure_code)) {
    json.add("name", text->name).add("sentence", text->sentence).add("cause", text->cause).add("fix", text->fix);
  } else {
    json.add("name", "unknown").add("sentence", "The set-up failed with a code that is not known here.").add("cause", "").add("fix", "");
  }
  json.end_object();
}

void write_provision_steps(JsonWriter& json, const std::vector<domain::ProvisionStep>& steps) {
  json.array("steps");
  for (const auto& step : steps) {
    json.object().add("at", step.at.ms).add("source", source_word(step.source)).add("step", step.step);
    if (step.code != 0) json.add("code", step.code);
    if (!step.message.empty()) json.add("message", step.message);
    json.end_object();
  }
  json.end_array();
}

}  // namespace muster::api
