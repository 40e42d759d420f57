-- The first schema. A migration that has shipped is never edited: the next one changes what it made.
-- Times are Unix milliseconds, 0 = never. Ids are AUTOINCREMENT, because an id that was given away must never come back:
-- change feed, write-behind and people may still hold it.

-- Numbers the store keeps about itself.
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- unknown_tokens: 0 refuse, 1 hold. A new store holds until it is set up, so that a server which lost its database and made a
-- fresh one does not call every device in the field invalid.
-- live_tokens and devices are kept by triggers and compared with what the scans at start see: a difference is damage.
INSERT INTO setting (name, value) VALUES ('unknown_tokens', 1), ('live_tokens', 0), ('devices', 0), ('changes_trimmed_to', 0);

CREATE TABLE changes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL,
  id INTEGER NOT NULL
) STRICT;

CREATE TABLE organization (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  parent_id INTEGER REFERENCES organization (id),
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT NOT NULL CHECK (length(description) <= 1000),
  type INTEGER NOT NULL,
  can_create_sub_organizations INTEGER NOT NULL,
  time_zone TEXT NOT NULL,
  home_host TEXT NOT NULL CHECK (length(home_host) <= 63),
  home_port_plain INTEGER NOT NULL,
  home_port_tls INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX organization_name ON organization (parent_id, name);
-- One root.
CREATE UNIQUE INDEX organization_root ON organization (parent_id IS NULL) WHERE parent_id IS NULL;

CREATE TABLE role (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  is_builtin INTEGER NOT NULL,
  permissions INTEGER NOT NULL
) STRICT;

CREATE TABLE user (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL REFERENCES organization (id),
  role_id INTEGER NOT NULL REFERENCES role (id),
  email TEXT NOT NULL UNIQUE CHECK (length(email) BETWEEN 3 AND 320),
  name TEXT NOT NULL CHECK (length(name) <= 60),
  status INTEGER NOT NULL,
  locale TEXT NOT NULL,
  time_zone TEXT NOT NULL,
  verifier TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_logged_at INTEGER NOT NULL
) STRICT;
CREATE INDEX user_organization ON user (organization_id);

CREATE TABLE access_token (
  mac BLOB PRIMARY KEY CHECK (length(mac) = 32),
  key_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_token_user ON access_token (user_id, created_at);
CREATE INDEX access_token_key ON access_token (key_id);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  actor_user_id INTEGER NOT NULL,
  client TEXT NOT NULL,
  ip TEXT NOT NULL,
  organization_id INTEGER NOT NULL,
  action TEXT NOT NULL,
  object_kind TEXT NOT NULL,
  object_id INTEGER NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_organization ON audit (organization_id, id);

CREATE TABLE template (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL REFERENCES organization (id),
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  board_type TEXT NOT NULL,
  connection_type TEXT NOT NULL,
  manufacturer TEXT NOT NULL,
  description TEXT NOT NULL,
  hotspot_prefix TEXT NOT NULL,
  firmware_type TEXT NOT NULL,
  offline_ignore_period_s INTEGER NOT NULL,
  allow_public_plain_text INTEGER NOT NULL,
  version INTEGER NOT NULL,
  -- Ids inside a template are not given twice either.
  next_datastream_id INTEGER NOT NULL,
  next_meta_field_id INTEGER NOT NULL,
  next_event_id INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX template_name ON template (organization_id, name);

CREATE TABLE template_tmpl_id (
  tmpl_id TEXT PRIMARY KEY,
  template_id INTEGER NOT NULL REFERENCES template (id) ON DELETE CASCADE,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX template_tmpl_id_template ON template_tmpl_id (template_id, position);

CREATE TABLE datastream (
  template_id INTEGER NOT NULL REFERENCES template (id) ON DELETE CASCADE,
  id INTEGER NOT NULL,
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
  alias TEXT NOT NULL,
  pin INTEGER NOT NULL CHECK (pin BETWEEN 0 AND 255),
  type INTEGER NOT NULL,
  units TEXT NOT NULL,
  min REAL,
  max REAL,
  default_value BLOB NOT NULL,
  decimals INTEGER NOT NULL,
  sync_on_connect INTEGER NOT NULL,
  -- JSON array of texts.
  enum_values TEXT NOT NULL,
  PRIMARY KEY (template_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta_field (
  template_id INTEGER NOT NULL REFERENCES template (id) ON DELETE CASCADE,
  id INTEGER NOT NULL,
  name TEXT NOT NULL CHECK (length(name) >= 1),
  type INTEGER NOT NULL,
  default_value TEXT NOT NULL,
  description TEXT NOT NULL,
  in_provisioning INTEGER NOT NULL,
  required INTEGER NOT NULL,
  is_builtin INTEGER NOT NULL,
  PRIMARY KEY (template_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_def (
  template_id INTEGER NOT NULL REFERENCES template (id) ON DELETE CASCADE,
  id INTEGER NOT NULL,
  name TEXT NOT NULL CHECK (length(name) >= 1),
  code TEXT NOT NULL CHECK (length(code) BETWEEN 1 AND 50),
  description TEXT NOT NULL,
  type INTEGER NOT NULL,
  is_system INTEGER NOT NULL,
  PRIMARY KEY (template_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL REFERENCES organization (id),
  template_id INTEGER NOT NULL REFERENCES template (id),
  owner_id INTEGER REFERENCES user (id),
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
  activation_way INTEGER NOT NULL,
  activated_at INTEGER NOT NULL,
  activated_by INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  home_host TEXT,
  home_port_plain INTEGER NOT NULL,
  home_port_tls INTEGER NOT NULL
) STRICT;
CREATE INDEX device_organization ON device (organization_id);
CREATE INDEX device_template ON device (template_id);
CREATE INDEX device_owner ON device (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX device_home ON device (id) WHERE home_host IS NOT NULL;

-- Written behind, and therefore apart from what is not: its traffic stays off the pages of the registry.
CREATE TABLE device_presence (
  device_id INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
  first_connect_time INTEGER NOT NULL DEFAULT 0,
  connect_time INTEGER NOT NULL DEFAULT 0,
  disconnect_time INTEGER NOT NULL DEFAULT 0,
  last_reported_at INTEGER NOT NULL DEFAULT 0,
  last_ip TEXT NOT NULL DEFAULT '',
  plain_text_link INTEGER NOT NULL DEFAULT 0,
  hardware_version TEXT NOT NULL DEFAULT '',
  hardware_firmware_type TEXT NOT NULL DEFAULT '',
  hardware_library_version TEXT NOT NULL DEFAULT '',
  hardware_board_type TEXT NOT NULL DEFAULT '',
  hardware_build TEXT NOT NULL DEFAULT '',
  hardware_template_id TEXT NOT NULL DEFAULT '',
  hardware_agent TEXT NOT NULL DEFAULT '',
  hardware_heartbeat_s INTEGER NOT NULL DEFAULT 0,
  hardware_buffer_in_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Addresses that devices logged in from, with the day they were last seen, so that old ones can go.
CREATE TABLE seen_ip (
  ip TEXT PRIMARY KEY,
  last_seen_day INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE device_value (
  device_id INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
  pin INTEGER NOT NULL,
  value BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (device_id, pin)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_metadata (
  device_id INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
  -- By id, so that a field that is renamed keeps its values.
  field_id INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (device_id, field_id)
) STRICT, WITHOUT ROWID;

-- One namespace for every AuthToken ever issued. Rows are never deleted: a revoked one stays as a tombstone (kind 6) without
-- device and sealed copy. kind: 1 device, 2 provision, 3 reprovision, 4 static, 5 grace, 6 revoked.
CREATE TABLE auth_token (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 6),
  device_id INTEGER REFERENCES device (id),
  key_id INTEGER NOT NULL,
  mac BLOB NOT NULL CHECK (length(mac) = 32),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  CHECK (kind <> 6 OR device_id IS NULL)
) STRICT;
CREATE UNIQUE INDEX auth_token_mac ON auth_token (mac);
CREATE INDEX auth_token_device ON auth_token (device_id) WHERE device_id IS NOT NULL;
CREATE INDEX auth_token_key ON auth_token (key_id, kind);

-- Sealed copies lie apart: scans for digests do not read them, and revoking one removes it whole.
CREATE TABLE auth_token_sealed (
  token_id INTEGER PRIMARY KEY REFERENCES auth_token (id),
  sealed BLOB NOT NULL
) STRICT;

CREATE TRIGGER auth_token_inserted AFTER INSERT ON auth_token WHEN NEW.kind <> 6 BEGIN
  UPDATE setting SET value = value + 1 WHERE name = 'live_tokens';
END;
CREATE TRIGGER auth_token_changed AFTER UPDATE OF kind ON auth_token WHEN (OLD.kind <> 6) <> (NEW.kind <> 6) BEGIN
  UPDATE setting SET value = value + (NEW.kind <> 6) - (OLD.kind <> 6) WHERE name = 'live_tokens';
END;
CREATE TRIGGER auth_token_deleted BEFORE DELETE ON auth_token BEGIN
  SELECT RAISE (ABORT, 'AuthTokens are never deleted');
END;
CREATE TRIGGER device_inserted AFTER INSERT ON device BEGIN
  UPDATE setting SET value = value + 1 WHERE name = 'devices';
END;
CREATE TRIGGER device_deleted AFTER DELETE ON device BEGIN
  UPDATE setting SET value = value - 1 WHERE name = 'devices';
END;
