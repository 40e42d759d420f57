-- Organizations, people, access, the log, and what is told to others.

-- --- organizations and roles ---------------------------------------------------------------------------------------------

-- 0 none, 1 clients, 2 partners: where those that sign up on their own get their organizations.
ALTER TABLE organization ADD COLUMN group_kind INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX organization_group ON organization (group_kind) WHERE group_kind <> 0;
-- Of it and what is beneath it; 0 = no limit.
ALTER TABLE organization ADD COLUMN devices_max INTEGER NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX role_name ON role (lower(name));
-- What a role allows in an organization (here) and beneath it, where that is not what holds above.
CREATE TABLE role_value (
  role_id INTEGER NOT NULL REFERENCES role (id) ON DELETE CASCADE,
  organization_id INTEGER NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
  here INTEGER NOT NULL,
  beneath INTEGER NOT NULL,
  PRIMARY KEY (role_id, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX role_value_organization ON role_value (organization_id);
CREATE INDEX user_role ON user (role_id);

-- What the device sent up to then is not written any more, also when it waits to be.
ALTER TABLE device ADD COLUMN erased_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX device_activated ON device (organization_id, activated_at);

-- --- timeline and event feed ---------------------------------------------------------------------------------------------

CREATE TABLE timeline (
  -- In the order of writing: who follows the timeline remembers one number.
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  device_id INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
  organization_id INTEGER NOT NULL,
  at INTEGER NOT NULL,
  -- 0 information, 1 warning, 2 critical, 3 content, 4 online, 5 offline, 6 system.
  type INTEGER NOT NULL,
  code TEXT NOT NULL CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL,
  description TEXT NOT NULL CHECK (length(description) <= 300),
  user_id INTEGER NOT NULL,
  resolved_at INTEGER NOT NULL DEFAULT 0,
  resolved_by INTEGER NOT NULL DEFAULT 0,
  resolve_comment TEXT NOT NULL DEFAULT '' CHECK (length(resolve_comment) <= 300)
) STRICT;
CREATE INDEX timeline_device ON timeline (device_id, at);
-- Whether a device that went was online before: the last such line of a device.
CREATE INDEX timeline_presence ON timeline (device_id, id) WHERE type IN (4, 5);
-- What was logged today: a server that starts knows what each device may still log.
CREATE INDEX timeline_logged ON timeline (at, device_id) WHERE type <= 3;

-- In which organization the device connected last; another one than its own: it has not connected there yet.
ALTER TABLE device_presence ADD COLUMN connected_organization_id INTEGER NOT NULL DEFAULT 0;
UPDATE device_presence SET connected_organization_id = (SELECT organization_id FROM device WHERE device.id = device_id)
  WHERE first_connect_time <> 0;

-- What webhooks may wait for, in the order of the commits. Rows go once deliveries were made of them.
CREATE TABLE event_feed (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  event INTEGER NOT NULL,
  organization_id INTEGER NOT NULL,
  device_id INTEGER NOT NULL,
  template_id INTEGER NOT NULL,
  -- -1: none.
  pin INTEGER NOT NULL,
  code TEXT NOT NULL,
  -- JSON object: what placeholders stand for.
  facts TEXT NOT NULL
) STRICT;
INSERT INTO setting (name, value) VALUES ('event_feed_cursor', 0);

-- --- webhooks --------------------------------------------------------------------------------------------------------------

CREATE TABLE webhook (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
  created_by INTEGER NOT NULL,
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
  trigger INTEGER NOT NULL,
  -- The kind of event that the trigger waits for.
  event INTEGER NOT NULL,
  device_id INTEGER NOT NULL,
  template_id INTEGER NOT NULL,
  pin INTEGER NOT NULL,
  event_code TEXT NOT NULL,
  include_sub_organizations INTEGER NOT NULL,
  url TEXT NOT NULL,
  method INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  body TEXT NOT NULL,
  auth INTEGER NOT NULL,
  sealed_secret BLOB NOT NULL,
  sealed_headers BLOB NOT NULL,
  sealed_auth BLOB NOT NULL,
  failure_receivers TEXT NOT NULL,
  fail_after INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0,
  disabled_at INTEGER NOT NULL DEFAULT 0,
  dropped INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_organization ON webhook (organization_id);
CREATE INDEX webhook_event ON webhook (event) WHERE enabled = 1;

CREATE TABLE webhook_delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_id INTEGER NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
  message_id TEXT NOT NULL,
  event INTEGER NOT NULL,
  organization_id INTEGER NOT NULL,
  device_id INTEGER NOT NULL,
  facts TEXT NOT NULL,
  -- 0 waiting, 1 delivered, 2 given up.
  state INTEGER NOT NULL DEFAULT 0,
  -- A test or a replay: sent although its webhook is disabled.
  by_hand INTEGER NOT NULL DEFAULT 0,
  replay_of INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  next_at INTEGER NOT NULL,
  last_attempt_at INTEGER NOT NULL DEFAULT 0,
  last_status INTEGER NOT NULL DEFAULT 0,
  last_problem TEXT NOT NULL DEFAULT '',
  sealed_request BLOB NOT NULL DEFAULT x'',
  sealed_response BLOB NOT NULL DEFAULT x''
) STRICT;
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (webhook_id, next_at) WHERE state = 0;
-- Of a disabled webhook only these are sent, however much else waits.
CREATE INDEX webhook_delivery_by_hand ON webhook_delivery (webhook_id, next_at) WHERE state = 0 AND by_hand = 1;
CREATE INDEX webhook_delivery_created ON webhook_delivery (created_at);
CREATE INDEX webhook_delivery_webhook ON webhook_delivery (webhook_id, id);

-- --- links, second factors, sessions of people -----------------------------------------------------------------------------

-- Links that were sent to somebody. Each works once: its row goes with its use. kind: 1 invitation, 2 sign-up, 3 reset, 4 confirm email.
CREATE TABLE link (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),
  key_id INTEGER NOT NULL,
  mac BLOB NOT NULL UNIQUE CHECK (length(mac) = 32),
  email TEXT NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
  organization_id INTEGER REFERENCES organization (id) ON DELETE CASCADE,
  role_id INTEGER REFERENCES role (id) ON DELETE CASCADE,
  name TEXT NOT NULL CHECK (length(name) <= 60),
  locale TEXT NOT NULL,
  -- 1 client, 2 partner.
  sign_up INTEGER NOT NULL,
  created_by INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
-- The newer one of a kind takes the place of the older; an organization does not see what others invite.
CREATE UNIQUE INDEX link_of_person ON link (kind, email, ifnull(organization_id, 0));
CREATE INDEX link_organization ON link (organization_id, id) WHERE organization_id IS NOT NULL;
CREATE INDEX link_role ON link (role_id) WHERE role_id IS NOT NULL;
CREATE INDEX link_expires ON link (expires_at);
CREATE INDEX link_key ON link (key_id);

-- How many invitations an organization sent on a day (days since 1970).
CREATE TABLE invitation_count (
  organization_id INTEGER NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
  day INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (organization_id, day)
) STRICT, WITHOUT ROWID;

ALTER TABLE user ADD COLUMN email_confirmed_at INTEGER NOT NULL DEFAULT 0;

-- What people see of their sessions. The id is drawn at random and has nothing to do with the digest.
ALTER TABLE access_token ADD COLUMN id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE access_token ADD COLUMN client TEXT NOT NULL DEFAULT '';
ALTER TABLE access_token ADD COLUMN ip TEXT NOT NULL DEFAULT '';
ALTER TABLE access_token ADD COLUMN last_used_at INTEGER NOT NULL DEFAULT 0;
UPDATE access_token SET id = random() & 0x1FFFFFFFFFFFFF, last_used_at = created_at;

CREATE TABLE second_factor (
  user_id INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
  sealed BLOB NOT NULL,
  key_id INTEGER NOT NULL,
  -- 0: nobody has shown a code of it yet, and it is not asked for.
  enabled_at INTEGER NOT NULL
) STRICT;
CREATE INDEX second_factor_key ON second_factor (key_id);

CREATE TABLE recovery_code (
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  mac BLOB NOT NULL CHECK (length(mac) = 32),
  key_id INTEGER NOT NULL,
  PRIMARY KEY (user_id, mac)
) STRICT, WITHOUT ROWID;
CREATE INDEX recovery_code_key ON recovery_code (key_id);

-- Steps whose code was taken: the newest few of each person, by the order of their use, so that a clock that is set back opens nothing.
CREATE TABLE totp_used (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  step INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX totp_used_step ON totp_used (user_id, step);

-- --- mail ------------------------------------------------------------------------------------------------------------------

CREATE TABLE mail (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL,
  recipient TEXT NOT NULL CHECK (length(recipient) <= 254),
  kind TEXT NOT NULL,
  sealed BLOB NOT NULL,
  key_id INTEGER NOT NULL,
  -- 1 waits, 2 given up, 3 never goes anywhere: what an unknown email gets, so that it costs the same.
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
  queued_at INTEGER NOT NULL,
  next_try_at INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX mail_due ON mail (next_try_at, id) WHERE state = 1;
CREATE INDEX mail_organization ON mail (organization_id, id);
CREATE INDEX mail_key ON mail (key_id);

-- --- OAuth2 clients and API keys ---------------------------------------------------------------------------------------------

-- What programs send in place of a person's access token. Only digests of the secrets are here. scopes: permission bits.
CREATE TABLE api_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
  scopes INTEGER NOT NULL,
  -- Networks separated by spaces; empty: from anywhere.
  addresses TEXT NOT NULL,
  requests_per_minute INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  mac BLOB NOT NULL CHECK (length(mac) = 32),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  -- Written behind.
  last_used_at INTEGER NOT NULL DEFAULT 0,
  last_ip TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX api_key_mac ON api_key (mac);
CREATE INDEX api_key_organization ON api_key (organization_id);
CREATE INDEX api_key_user ON api_key (user_id);

CREATE TABLE oauth_client (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
  client_id TEXT NOT NULL UNIQUE,
  scopes INTEGER NOT NULL,
  -- Separated by spaces.
  redirect_urls TEXT NOT NULL,
  refresh_tokens INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  mac BLOB NOT NULL CHECK (length(mac) = 32),
  created_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX oauth_client_organization ON oauth_client (organization_id);
CREATE INDEX oauth_client_user ON oauth_client (user_id);

-- kind: 1 access, 2 refresh. A refresh token that was used stays until its time is over, to be known again.
CREATE TABLE oauth_token (
  mac BLOB PRIMARY KEY CHECK (length(mac) = 32),
  key_id INTEGER NOT NULL,
  client INTEGER NOT NULL REFERENCES oauth_client (id) ON DELETE CASCADE,
  kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
  family INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_token_client ON oauth_token (client, created_at);
CREATE INDEX oauth_token_family ON oauth_token (family);

-- --- the audit chain -----------------------------------------------------------------------------------------------------------

-- Each entry holds the MAC of the one before and its own (cloud/domain/audit_chain.hpp). What is here already is laid into the chain
-- by the program that migrates, which has the key; it drops the old table then.
ALTER TABLE audit RENAME TO audit_unchained;
DROP INDEX audit_organization;
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- From 1 without a gap. Not the id: a row that was moved still says where it belongs.
  number INTEGER NOT NULL,
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  mac BLOB NOT NULL CHECK (length(mac) = 32),
  at INTEGER NOT NULL,
  actor_user_id INTEGER NOT NULL,
  -- What the actor's program used: 0 = neither.
  api_key_id INTEGER NOT NULL,
  oauth_client_id INTEGER NOT NULL,
  organization_id INTEGER NOT NULL,
  object_id INTEGER NOT NULL,
  client TEXT NOT NULL,
  action TEXT NOT NULL,
  object_kind TEXT NOT NULL,
  -- JSON object, without what names a person.
  detail TEXT NOT NULL,
  -- Salted digests of what names people, in audit_personal; empty: there is none.
  from_digest BLOB NOT NULL,
  about_digest BLOB NOT NULL
) STRICT;
CREATE INDEX audit_organization ON audit (organization_id, id);
-- Who was invited is erased with the user that came of it.
CREATE INDEX audit_invitation ON audit (number) WHERE object_kind = 'invitation';

-- What names a person in an entry, to be erased with the person. part: 0 the address that the actor came from, 1 whom the entry is
-- about (a JSON object that goes over the entry's details). user_id: whose it is.
CREATE TABLE audit_personal (
  -- The entry's number.
  entry INTEGER NOT NULL,
  part INTEGER NOT NULL CHECK (part IN (0, 1)),
  user_id INTEGER NOT NULL,
  salt BLOB NOT NULL CHECK (length(salt) = 16),
  text TEXT NOT NULL,
  PRIMARY KEY (entry, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_personal_user ON audit_personal (user_id);

CREATE TRIGGER audit_changed BEFORE UPDATE ON audit BEGIN
  SELECT RAISE (ABORT, 'audit entries are never changed');
END;
CREATE TRIGGER audit_deleted BEFORE DELETE ON audit BEGIN
  SELECT RAISE (ABORT, 'audit entries are never deleted');
END;
-- INSERT OR REPLACE asks no other trigger.
CREATE TRIGGER audit_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) BEGIN
  SELECT RAISE (ABORT, 'audit entries are never changed');
END;
CREATE TRIGGER audit_personal_changed BEFORE UPDATE ON audit_personal BEGIN
  SELECT RAISE (ABORT, 'audit entries are never changed');
END;
