"""A small Arkindex project, told twice: as the API sends it (tests.servers.arkindex), and as an export in SQLite."""

import json
import sqlite3


def uid(number):
    return f"00000000-0000-4000-8000-{number:012d}"


FOLDER, EMPTY, PAGE_1, PAGE_2, PAGE_3, LINE_2, LINE_1, LINE_3 = map(uid, range(1, 9))
IMAGE_1, IMAGE_2, DATASET, RUN, VERSION, NOBODY = map(uid, range(20, 26))
IMAGES = {IMAGE_1: (800, 600), IMAGE_2: (300, 200)}
SERVER = {"max_width": None, "max_height": None, "version": 2}


def box(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


# id: name, type, image, polygon, rotation, mirrored, parents with positions
ELEMENTS = {
    FOLDER: ("Register 1", "folder", None, None, 0, False, {}),
    EMPTY: ("Nothing yet", "folder", None, None, 0, False, {FOLDER: 9}),
    PAGE_1: ("p. 1", "page", IMAGE_1, box(0, 0, 800, 600), 0, False, {FOLDER: 0}),
    PAGE_2: ("p. 2", "page", IMAGE_2, box(0, 0, 300, 200), 90, True, {FOLDER: 1}),
    PAGE_3: ("p. 3", "page", IMAGE_1, box(0, 0, 800, 600), 0, False, {FOLDER: 2}),
    LINE_2: ("l. 2", "text_line", IMAGE_1, [[10, 100], [410, 105], [405, 150], [8, 148]], 0, False, {PAGE_1: 1}),
    LINE_1: ("l. 1", "text_line", IMAGE_1, box(10, 20, 510, 60), 0, False, {PAGE_1: 0}),
    LINE_3: ("l. 3", "text_line", IMAGE_1, box(10, 200, 900, 700), 0, False, {PAGE_1: 2}),
}
# id, element, text, confidence, run
TEXTS = [
    (uid(40), LINE_1, "Jean Martin, № 00123", None, None),
    (uid(41), LINE_1, "Jean Mortin", 0.97, RUN),
    (uid(42), LINE_2, "né à Пётр", None, None),
    (uid(43), LINE_2, "ne a Петр", 0.5, None),
    (uid(48), LINE_2, "ne a Petr", 0.4, RUN),
    (uid(44), LINE_3, "by a machine", 0.9, RUN),
    (uid(45), PAGE_1, "😀 Пётр & Jean, 1790", None, None),
    (uid(46), PAGE_2, "second page", None, None),
    (uid(47), PAGE_2, "secnd pge", 0.7, RUN),
]
# transcription, type, offset, length, run
ENTITIES = [
    (uid(45), "person", 9, 4, None),
    (uid(45), "person", 2, 4, None),
    (uid(45), "date", 15, 4, None),
    (uid(45), "place", 0, 1, RUN),
]
# element, class, confidence, state, run
CLASSES = [
    (PAGE_1, "letter", 1.0, "validated", None),
    (PAGE_1, "form", 0.99, "pending", RUN),
    (PAGE_1, "odd", 1.0, "rejected", None),
    (PAGE_2, "form", 0.8, "pending", RUN),
]
# element, type, name, value, run
METADATA = [
    (PAGE_1, "date", "date", "1790", None),
    (PAGE_1, "text", "place", "Арль", None),
    (PAGE_1, "text", "place", "Nîmes", None),
    (PAGE_1, "text", "language", "fr", RUN),
]
MEMBERS = [("train", PAGE_1), ("test", PAGE_2), ("test", PAGE_1)]


def below(root):
    """Return the ids of all below an element, in the order of positions."""
    children = sorted((e for e in ELEMENTS if root in ELEMENTS[e][6]), key=lambda e: ELEMENTS[e][6][root])
    return [each for child in children for each in (child, *below(child))]


def write_export(path, image_url, *, is_old=False):
    """Write the project as an export; an old one has entities of its own, states of classes and few tables."""
    database = sqlite3.connect(path)
    entity = "entity_id" if is_old else "type_id"
    database.executescript(f"""
        PRAGMA synchronous = OFF;
        CREATE TABLE export_version (version INTEGER);
        CREATE TABLE image_server (id INTEGER PRIMARY KEY, url TEXT, display_name TEXT, max_width INTEGER,
            max_height INTEGER{"" if is_old else ", version INTEGER"});
        CREATE TABLE image (id TEXT PRIMARY KEY, server_id INTEGER, url TEXT, width INTEGER, height INTEGER);
        CREATE TABLE worker_run (id TEXT PRIMARY KEY, worker_version_id TEXT);
        CREATE TABLE element (id TEXT PRIMARY KEY, created REAL, updated REAL, name TEXT, type TEXT, image_id TEXT,
            polygon TEXT, confidence REAL, rotation_angle INTEGER, mirrored INTEGER, worker_run_id TEXT);
        CREATE TABLE element_path (id TEXT PRIMARY KEY, parent_id TEXT, child_id TEXT, ordering INTEGER);
        CREATE TABLE transcription (id TEXT PRIMARY KEY, element_id TEXT, text TEXT, confidence REAL, orientation TEXT,
            worker_run_id TEXT);
        CREATE TABLE entity_type (id TEXT PRIMARY KEY, name TEXT, color TEXT);
        CREATE TABLE entity (id TEXT PRIMARY KEY, name TEXT, type_id TEXT);
        CREATE TABLE transcription_entity (id TEXT PRIMARY KEY, transcription_id TEXT, {entity} TEXT, offset INTEGER,
            length INTEGER, confidence REAL, worker_run_id TEXT);
        CREATE TABLE classification (id TEXT PRIMARY KEY, element_id TEXT, class_name TEXT,
            confidence REAL, worker_run_id TEXT, state TEXT);
    """)
    database.execute("INSERT INTO export_version VALUES (?)", (5 if is_old else 11,))
    server = (1, image_url, "IIIF", SERVER["max_width"], SERVER["max_height"])
    insert(database, "image_server", [server if is_old else (*server, SERVER["version"])])
    insert(database, "image", [(i, 1, f"{image_url}/{i}", w, h) for i, (w, h) in IMAGES.items()])
    insert(database, "worker_run", [(RUN, VERSION)])
    places = []
    for element, (name, kind, image, polygon, rotation, mirrored, parents) in ELEMENTS.items():
        points = json.dumps(polygon) if polygon else None
        insert(database, "element", [(element, 0, 0, name, kind, image, points, None, rotation, int(mirrored), None)])
        places += [(f"{element}{parent}", parent, element, at) for parent, at in parents.items()]
    insert(database, "element_path", places)
    insert(database, "transcription", [(i, e, text, c, "horizontal-lr", run) for i, e, text, c, run in TEXTS])
    kinds = sorted({entity[1] for entity in ENTITIES})
    insert(database, "entity_type", [(kind.upper(), kind, "fff") for kind in kinds])
    insert(database, "entity", [(f"e-{kind}", kind, kind.upper()) for kind in kinds])
    entities = [
        (str(n), text, f"e-{kind}" if is_old else kind.upper(), offset, length, None, run)
        for n, (text, kind, offset, length, run) in enumerate(ENTITIES)
    ]
    insert(database, "transcription_entity", entities)
    insert(database, "classification", [(str(n), e, c, conf, run, s) for n, (e, c, conf, s, run) in enumerate(CLASSES)])
    if not is_old:
        database.executescript("""
            CREATE TABLE metadata (id TEXT PRIMARY KEY, element_id TEXT, name TEXT, value TEXT, type TEXT,
                worker_run_id TEXT);
            CREATE TABLE dataset (id TEXT PRIMARY KEY, name TEXT);
            CREATE TABLE dataset_element (id TEXT PRIMARY KEY, element_id TEXT, dataset_id TEXT, set_name TEXT);
        """)
        insert(database, "metadata", [(str(n), e, name, v, t, run) for n, (e, t, name, v, run) in enumerate(METADATA)])
        insert(database, "dataset", [(DATASET, "All")])
        insert(database, "dataset_element", [(str(n), e, DATASET, name) for n, (name, e) in enumerate(MEMBERS)])
    database.commit()
    database.close()
    return path


def insert(database, table, rows):
    for row in rows:
        database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
