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

-- --- webhooks --------------------------------------------------------------------------------------------------------------

-- --- links, second factors, sessions of people -----------------------------------------------------------------------------

-- --- mail ------------------------------------------------------------------------------------------------------------------

-- --- OAuth2 clients and API keys ---------------------------------------------------------------------------------------------

-- --- the audit chain -----------------------------------------------------------------------------------------------------------
