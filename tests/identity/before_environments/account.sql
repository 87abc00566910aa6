BEGIN TRANSACTION;
CREATE TABLE effects (
    n INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, project_id TEXT NOT NULL,
    request_id TEXT NOT NULL, idempotency_key TEXT, detail TEXT NOT NULL
);
INSERT INTO "effects" VALUES(1,1.79579530402685952185e+09,'create','proj_56b7953ca3033f8b','req_3389b3921e859034','acme/teaser/1','{"brief": "digest:6959daca486d61574c6501806bdd5e4c", "title": "digest:093eb8b51ff862673d16d51ebbf873ef", "idempotency_key": "acme/teaser/1"}');
INSERT INTO "effects" VALUES(2,1.79579530409732294081e+09,'create','proj_d13a4b90b7b2250e','req_dacec9195eab3941','acme/poster/1','{"brief": "digest:835ea7db8258c0d6735b198627e14406", "title": "digest:7355bbd15f0f33ba45630bfe4d12eb69", "idempotency_key": "acme/poster/1"}');
INSERT INTO "effects" VALUES(3,1.79579530425879144673e+09,'message','proj_56b7953ca3033f8b','req_9230dfde85e645e0',NULL,'{"message": "digest:e8822f3db11b5d2ef51907b664f534b2", "message_id": "msg_5199d8a725b1ad71"}');
INSERT INTO "effects" VALUES(4,1.79579531111728334428e+09,'cancel','proj_d13a4b90b7b2250e','req_b1354724a770e077',NULL,'{"from": "idle"}');
INSERT INTO "effects" VALUES(5,1.79579531113940382008e+09,'create','proj_9a8f8e40a718a734','req_0a12a29b8296dfd2','acme/poster/2','{"brief": "digest:835ea7db8258c0d6735b198627e14406", "title": "digest:7355bbd15f0f33ba45630bfe4d12eb69", "idempotency_key": "acme/poster/2"}');
INSERT INTO "effects" VALUES(6,1.79579534183771061901e+09,'create','proj_222d272ce5c32c3b','req_864547e9c0d7d979','acme/banner/1','{"brief": "digest:2b94b74fbfe6f0f7842b82295b0ca3c1", "title": "digest:bf3058f9d42f4030bd937cff72e945de", "idempotency_key": "acme/banner/1"}');
INSERT INTO "effects" VALUES(7,1.79579537141156435017e+09,'create','proj_73f2dbca578390af','req_0112e71cd53be0fa','acme/flyer/1','{"brief": "digest:b8afe49e2ccd887cc82f21d679b951ca", "title": "digest:71a72935b3ab0250b187258e60163500", "idempotency_key": "acme/flyer/1"}');
CREATE TABLE faults (n INTEGER PRIMARY KEY, fault TEXT NOT NULL);
CREATE TABLE hits (n INTEGER PRIMARY KEY, at REAL NOT NULL);
INSERT INTO "hits" VALUES(11,1.79579534164990305905e+09);
INSERT INTO "hits" VALUES(12,1.79579534183771061901e+09);
INSERT INTO "hits" VALUES(13,1.79579537132265424723e+09);
INSERT INTO "hits" VALUES(14,1.79579537141156435017e+09);
INSERT INTO "hits" VALUES(15,1.79579538748344755176e+09);
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY, project INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
    source TEXT NOT NULL, created_at REAL NOT NULL, refs TEXT NOT NULL, extract_content INTEGER, content TEXT NOT NULL
);
INSERT INTO "messages" VALUES(1,1,'msg_a88994a130673085','user','chat',1.79579530402685952185e+09,'[]',1,'Ten seconds, one product.');
INSERT INTO "messages" VALUES(2,1,'msg_5fe6359a1a537afb','assistant','chat',1.79579530402935957913e+09,'[]',NULL,'Reading the brief.');
INSERT INTO "messages" VALUES(3,1,'msg_fe40acca7421de77','assistant','chat',1.79579530404685950282e+09,'[]',NULL,'Your project is complete.');
INSERT INTO "messages" VALUES(4,2,'msg_dc5562a33cc3caea','user','chat',1.79579530409732294081e+09,'[]',1,'One frame.');
INSERT INTO "messages" VALUES(5,2,'msg_24c7c247e3ae6f77','assistant','chat',1.79579530409982299809e+09,'[]',NULL,'Reading the brief.');
INSERT INTO "messages" VALUES(6,2,'msg_304e8e772c211272','assistant','chat',1.79579530411732292177e+09,'[]',NULL,'Your project is complete.');
INSERT INTO "messages" VALUES(7,1,'msg_5199d8a725b1ad71','user','chat',1.79579530425879144673e+09,'[]',1,'Make it softer.');
INSERT INTO "messages" VALUES(8,1,'msg_d746118702380f74','assistant','chat',1.79579530425879144673e+09,'[]',NULL,'Working on your feedback.');
INSERT INTO "messages" VALUES(9,1,'msg_27b63188baa47584','assistant','chat',1.79579530426629137987e+09,'[]',NULL,'');
INSERT INTO "messages" VALUES(10,1,'msg_1139f8dc0fdb7f36','assistant','chat',1.79579530427629137042e+09,'[]',NULL,'Change 1 is in.');
INSERT INTO "messages" VALUES(11,3,'msg_5505e3a0fb3f0191','user','chat',1.79579531113940382008e+09,'[]',1,'One frame.');
INSERT INTO "messages" VALUES(12,3,'msg_2587e2f419c574b2','assistant','chat',1.79579531114190387719e+09,'[]',NULL,'Reading the brief.');
INSERT INTO "messages" VALUES(13,3,'msg_c2403bfcce899bbf','assistant','chat',1.79579531115940380092e+09,'[]',NULL,'Your project is complete.');
INSERT INTO "messages" VALUES(14,4,'msg_c164a7956566a66f','user','chat',1.79579534183771061901e+09,'[]',1,'Wide.');
INSERT INTO "messages" VALUES(15,4,'msg_8b55cad92f4bf08f','assistant','chat',1.79579534184021067612e+09,'[]',NULL,'Reading the brief.');
INSERT INTO "messages" VALUES(16,4,'msg_bba33f5586c156dc','assistant','chat',1.79579534185771059985e+09,'[]',NULL,'Your project is complete.');
INSERT INTO "messages" VALUES(17,5,'msg_b4395051feefdaf0','user','chat',1.79579537141156435017e+09,'[]',1,'Folded.');
INSERT INTO "messages" VALUES(18,5,'msg_821e864e37bc2550','assistant','chat',1.79579537141406440732e+09,'[]',NULL,'Reading the brief.');
INSERT INTO "messages" VALUES(19,5,'msg_753c9e9fb53908a1','assistant','chat',1.79579537143156433101e+09,'[]',NULL,'Your project is complete.');
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO "meta" VALUES('credits',99840);
INSERT INTO "meta" VALUES('options','{"speed": 200.0, "requests_per_minute": 120, "active_projects": 5, "creates_per_day": 0, "credits": 100000, "create_cost": 30, "message_cost": 10, "page_max": 100, "strict": false, "empty_patch": "accept", "list_order": "newest", "messages_default": "newest", "unknown_cursor": "refuse", "brief_is_message": true, "adopted_id_is_studio_id": false, "message_source": "chat", "rendering": false, "fail_briefs": true, "beyond_contract": true, "log_requests": true, "title_habits": [], "message_habits": [], "message_max": 0, "message_line": "", "list_brief": "plain", "list_utf16": false, "list_lag": 0.0, "key_seconds": 0.0}');
INSERT INTO "meta" VALUES('salt','c9d8673867a118ac6e5ae862029c3ae2');
INSERT INTO "meta" VALUES('secret','c5725cb443b7b84766f758d075cac5a2');
CREATE TABLE projects ([seq] INTEGER PRIMARY KEY, [id] TEXT NOT NULL UNIQUE, [source_project_id] TEXT, [origin] TEXT NOT NULL, [status] TEXT NOT NULL, [title_folded] TEXT, [brief_head] TEXT NOT NULL, [started] INTEGER NOT NULL, [output_type] TEXT, [output_at] REAL, [created_at] REAL NOT NULL, [updated_at] REAL NOT NULL, [next_change_at] REAL, [schedule] TEXT NOT NULL DEFAULT '[]', [runs] INTEGER NOT NULL DEFAULT 0, [variation_id] TEXT, [agent_message] TEXT, [error_message] TEXT, [idempotency_key] TEXT, [credits_spent] INTEGER NOT NULL DEFAULT 0, [lagging] TEXT, [title] TEXT, [mode] TEXT, [aspect_ratio] TEXT, [video_model] TEXT, [image_model] TEXT, [agent_model] TEXT, [craft] TEXT, [craft_auto] INTEGER, [webhook_url] TEXT, [expected_output] TEXT, [extract_content] INTEGER, [refs] TEXT NOT NULL DEFAULT '[]', [brief] TEXT NOT NULL);
INSERT INTO "projects" VALUES(1,'proj_56b7953ca3033f8b',NULL,'created','idle','teaser','Ten seconds, one product.',1,'assembled',1.79579530427629137042e+09,1.79579530402685952185e+09,1.79579530427629137042e+09,NULL,'[]',1,'var_cc13fa3b8ab3','Change 1 is in.',NULL,'acme/teaser/1',40,NULL,'Teaser','autonomous','16:9',NULL,NULL,'opus','auto',1,NULL,NULL,1,'[]','Ten seconds, one product.');
INSERT INTO "projects" VALUES(2,'proj_d13a4b90b7b2250e',NULL,'created','cancelled','poster','One frame.',1,'assembled',1.79579530411732292177e+09,1.79579530409732294081e+09,1.79579531111728334428e+09,NULL,'[]',0,'var_cbc7f7754ee4','Your project is complete.',NULL,'acme/poster/1',30,NULL,'Poster','autonomous','16:9',NULL,NULL,'opus','auto',1,NULL,NULL,1,'[]','One frame.');
INSERT INTO "projects" VALUES(3,'proj_9a8f8e40a718a734',NULL,'created','idle','poster','One frame.',1,'assembled',1.79579531115940380092e+09,1.79579531113940382008e+09,1.79579531115940380092e+09,NULL,'[]',0,'var_e2163b88058b','Your project is complete.',NULL,'acme/poster/2',30,NULL,'Poster','autonomous','16:9',NULL,NULL,'opus','auto',1,NULL,NULL,1,'[]','One frame.');
INSERT INTO "projects" VALUES(4,'proj_222d272ce5c32c3b',NULL,'created','idle','banner','Wide.',1,'assembled',1.79579534185771059985e+09,1.79579534183771061901e+09,1.79579534185771059985e+09,NULL,'[]',0,'var_6844f6d699c3','Your project is complete.',NULL,'acme/banner/1',30,NULL,'Banner','autonomous','16:9',NULL,NULL,'opus','auto',1,NULL,NULL,1,'[]','Wide.');
INSERT INTO "projects" VALUES(5,'proj_73f2dbca578390af',NULL,'created','idle','flyer','Folded.',1,'assembled',1.79579537143156433101e+09,1.79579537141156435017e+09,1.79579537143156433101e+09,NULL,'[]',0,'var_4a0910f65e19','Your project is complete.',NULL,'acme/flyer/1',30,NULL,'Flyer','autonomous','16:9',NULL,NULL,'opus','auto',1,NULL,NULL,1,'[]','Folded.');
CREATE TABLE requests (
    n INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    query TEXT NOT NULL, body TEXT, status INTEGER, request_id TEXT NOT NULL
);
INSERT INTO "requests" VALUES(1,1.79579530395477867128e+09,'GET','/projects','{"limit": "100", "offset": "0"}',NULL,200,'req_bccb8f06bd75aacb');
INSERT INTO "requests" VALUES(2,1.79579530402685952185e+09,'POST','/projects','{}','{"brief": "digest:6959daca486d61574c6501806bdd5e4c", "title": "digest:093eb8b51ff862673d16d51ebbf873ef", "idempotency_key": "acme/teaser/1"}',202,'req_3389b3921e859034');
INSERT INTO "requests" VALUES(3,1.79579530409732294081e+09,'POST','/projects','{}','{"brief": "digest:835ea7db8258c0d6735b198627e14406", "title": "digest:7355bbd15f0f33ba45630bfe4d12eb69", "idempotency_key": "acme/poster/1"}',202,'req_dacec9195eab3941');
INSERT INTO "requests" VALUES(4,1.79579530417750215533e+09,'GET','/projects/proj_56b7953ca3033f8b','{}',NULL,200,'req_ca3d9b3c45748d5d');
INSERT INTO "requests" VALUES(5,1.79579530418056726457e+09,'GET','/projects/proj_56b7953ca3033f8b/messages','{"limit": "50"}',NULL,200,'req_08f16eab9af088e8');
INSERT INTO "requests" VALUES(6,1.79579530425879144673e+09,'POST','/projects/proj_56b7953ca3033f8b/messages','{}','{"message": "digest:e8822f3db11b5d2ef51907b664f534b2"}',202,'req_9230dfde85e645e0');
INSERT INTO "requests" VALUES(7,1.79579531104029679303e+09,'GET','/projects','{"limit": "100", "offset": "0"}',NULL,200,'req_ee67937da3b64e33');
INSERT INTO "requests" VALUES(8,1.79579531111728334428e+09,'POST','/projects/proj_d13a4b90b7b2250e/cancel','{}',NULL,200,'req_b1354724a770e077');
INSERT INTO "requests" VALUES(9,1.79579531113940382008e+09,'POST','/projects','{}','{"brief": "digest:835ea7db8258c0d6735b198627e14406", "title": "digest:7355bbd15f0f33ba45630bfe4d12eb69", "idempotency_key": "acme/poster/2"}',202,'req_0a12a29b8296dfd2');
INSERT INTO "requests" VALUES(10,1.79579531689817476275e+09,'GET','/projects','{"limit": "100", "offset": "0"}',NULL,200,'req_3fd4529762250843');
INSERT INTO "requests" VALUES(11,1.79579534164990305905e+09,'GET','/projects','{"limit": "100", "offset": "0"}',NULL,200,'req_218992aa525321c9');
INSERT INTO "requests" VALUES(12,1.79579534183771061901e+09,'POST','/projects','{}','{"brief": "digest:2b94b74fbfe6f0f7842b82295b0ca3c1", "title": "digest:bf3058f9d42f4030bd937cff72e945de", "idempotency_key": "acme/banner/1"}',202,'req_864547e9c0d7d979');
INSERT INTO "requests" VALUES(13,1.79579537132265424723e+09,'GET','/projects','{"limit": "100", "offset": "0"}',NULL,200,'req_fd88f40b9a7d057d');
INSERT INTO "requests" VALUES(14,1.79579537141156435017e+09,'POST','/projects','{}','{"brief": "digest:b8afe49e2ccd887cc82f21d679b951ca", "title": "digest:71a72935b3ab0250b187258e60163500", "idempotency_key": "acme/flyer/1"}',NULL,'req_0112e71cd53be0fa');
INSERT INTO "requests" VALUES(15,1.79579538748344755176e+09,'GET','/projects','{"limit": "100", "offset": "0"}',NULL,200,'req_a53609b8b9c3ff21');
CREATE TABLE studio (id TEXT PRIMARY KEY, title TEXT, brief TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "studio" VALUES('51d10000-0000-4000-8000-000000000001','Harbour at dawn','A slow drone shot over a harbour at dawn, ten seconds.');
INSERT INTO "studio" VALUES('51d10000-0000-4000-8000-000000000002','Coffee launch','Three product shots of a coffee tin, warm light.');
CREATE TABLE uploads (
    key TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, file_name TEXT NOT NULL, content_type TEXT NOT NULL,
    file_size INTEGER NOT NULL, expires_at REAL NOT NULL, digest TEXT, confirmed INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX projects_due ON projects (next_change_at) WHERE next_change_at IS NOT NULL;
CREATE INDEX projects_status ON projects (status, seq);
CREATE INDEX projects_title ON projects (seq, title_folded);
CREATE INDEX projects_key ON projects (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX projects_source ON projects (source_project_id) WHERE source_project_id IS NOT NULL;
CREATE INDEX messages_project ON messages (project, seq);
CREATE INDEX hits_at ON hits (at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('requests',15);
INSERT INTO "sqlite_sequence" VALUES('effects',7);
COMMIT;
