-- Provisioning sessions, their traces, and what tokens and templates need for them.

CREATE TABLE provision_session (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL,
  -- No references: an owner, a user or a device may go while the session stays to tell what happened.
  owner_id INTEGER,
  created_by INTEGER NOT NULL,
  client TEXT NOT NULL CHECK (length(client) <= 60),
  uid TEXT NOT NULL CHECK (length(uid) <= 60),
  -- 1 new device, 2 reconfigure.
  kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
  -- 1 token issued, 2 delivering, 3 connected, 4 active, 5 done, 6 failed, 7 canceled, 8 expired, 9 superseded, 10 reprovisioning, 11 proving.
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 11),
  -- Reserved through sqlite_sequence: given to no other device, also when this one is never made.
  device_id INTEGER NOT NULL,
  token_id INTEGER NOT NULL REFERENCES auth_token (id),
  old_token_id INTEGER,
  template_id INTEGER,
  expires_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL DEFAULT 0,
  first_value_at INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER NOT NULL DEFAULT 0,
  failure_code INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX provision_session_organization ON provision_session (organization_id, id);
CREATE INDEX provision_session_user ON provision_session (created_by, id);
CREATE INDEX provision_session_device ON provision_session (device_id);
CREATE INDEX provision_session_token ON provision_session (token_id);
CREATE INDEX provision_session_live ON provision_session (expires_at) WHERE state IN (1, 2, 3, 4, 10, 11);
CREATE INDEX provision_session_ended ON provision_session (ended_at) WHERE ended_at <> 0;

CREATE TABLE provision_step (
  session_id INTEGER NOT NULL REFERENCES provision_session (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  -- 1 app, 2 agent, 3 cloud.
  source INTEGER NOT NULL,
  step TEXT NOT NULL CHECK (length(step) BETWEEN 1 AND 40),
  code INTEGER NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (session_id, seq)
) STRICT, WITHOUT ROWID;

-- Of a token that waits for its first device (kind 2): the session that knows which.
ALTER TABLE auth_token ADD COLUMN session_id INTEGER;
-- Of a tombstone: nobody decided on it, so devices are not told "invalid".
ALTER TABLE auth_token ADD COLUMN quiet INTEGER NOT NULL DEFAULT 0;

-- Each template gets the built-in field for what stock firmware reports as "Device UID" (type 18), unless it has one of that name.
INSERT INTO meta_field (template_id, id, name, type, default_value, description, in_provisioning, required, is_builtin)
  SELECT id, next_meta_field_id, 'Device UID', 18, '', '', 0, 0, 1 FROM template
  WHERE NOT EXISTS (SELECT 1 FROM meta_field WHERE template_id = template.id AND name = 'Device UID');
UPDATE template SET next_meta_field_id = next_meta_field_id + 1
  WHERE EXISTS (SELECT 1 FROM meta_field WHERE template_id = template.id AND id = template.next_meta_field_id);
