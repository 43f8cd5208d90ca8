#include "console/console.h"

namespace pgrevive::console {

// tests/functional/test_console.py compares it with what is answered.
std::string openapi_text() {
  return R"json({
  "openapi": "3.0.3",
  "info": {
    "title": "pgrevive console",
    "version": "1",
    "description": "Looking needs nothing. What changes the cluster is a POST with `Authorization: Bearer TOKEN`; `pgrevive console --token` prints the token. `pgrevive console --get PATH` asks any of these."
  },
  "paths": {
    "/api/v1/status": {
      "get": {
        "summary": "The cluster as it was a moment ago",
        "responses": {
          "200": {
            "description": "`status` is what `pgrevive status --json` prints",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/View"}}}
          }
        }
      }
    },
    "/api/v1/events": {
      "get": {
        "summary": "The same as server-sent events of the name `status`, one now and one every second",
        "responses": {
          "200": {
            "description": "Each event's data is a View",
            "content": {"text/event-stream": {"schema": {"type": "string"}}}
          }
        }
      }
    },
    "/api/v1/history": {
      "get": {
        "summary": "The lag of each replica over the last day: second by second of the last quarter of an hour, the greatest of each minute before",
        "responses": {
          "200": {
            "description": "Samples, the oldest first",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/History"}}}
          }
        }
      }
    },
    "/api/v1/repository": {
      "get": {
        "summary": "Backups, WAL, gaps, and the moments one can recover to, as they were when it was last read: every ten minutes, but while the cluster is brought up",
        "parameters": [
          {
            "name": "fresh",
            "in": "query",
            "description": "Read the repository now; needs X-Pgrevive",
            "schema": {"type": "string"}
          },
          {
            "name": "X-Pgrevive",
            "in": "header",
            "description": "Anything; no page of another site can send it",
            "schema": {"type": "string"},
            "example": "1"
          }
        ],
        "responses": {
          "200": {
            "description": "What it holds",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Repository"}}}
          },
          "default": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/api/v1/preview": {
      "get": {
        "summary": "What `start --preview --json` says of a new cluster from the same source; one at a time, none while the cluster is brought up, and a search of the WAL ends after five minutes, with 503",
        "parameters": [
          {
            "name": "X-Pgrevive",
            "in": "header",
            "description": "Anything; no page of another site can send it",
            "schema": {"type": "string"},
            "example": "1",
            "required": true
          },
          {
            "name": "type",
            "in": "query",
            "schema": {"type": "string", "enum": ["default", "immediate", "time", "name", "lsn", "xid"]}
          },
          {
            "name": "target",
            "in": "query",
            "schema": {"type": "string"},
            "example": "2026-11-22 14:05:00+00"
          },
          {
            "name": "set",
            "in": "query",
            "description": "A backup's label",
            "schema": {"type": "string"}
          }
        ],
        "responses": {
          "200": {
            "description": "The preview; without a restore only `restores`, and `problem` only where it is out of reach",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Preview"}}}
          },
          "default": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/api/v1/logs": {
      "get": {
        "summary": "Lines of one log; passwords in them are masked",
        "parameters": [
          {
            "name": "of",
            "in": "query",
            "description": "A node, restore, supervisor, prefetch or console (default: supervisor)",
            "schema": {"type": "string"}
          },
          {
            "name": "lines",
            "in": "query",
            "description": "How many of the last at most (default 100)",
            "schema": {"type": "integer", "maximum": 1000}
          },
          {
            "name": "search",
            "in": "query",
            "description": "Only lines with that, in whatever case",
            "schema": {"type": "string"}
          },
          {
            "name": "from",
            "in": "query",
            "description": "`next` of an earlier answer: only what is new",
            "schema": {"type": "integer"}
          }
        ],
        "responses": {
          "200": {
            "description": "Lines, the oldest first",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Logs"}}}
          },
          "default": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/api/v1/actions/{action}": {
      "post": {
        "summary": "What the commands of that name do, with the settings that the cluster has: a `.env` that was changed since is not read. restart-node is `restart NODE`, restore is `start --anew`, without `type` to the end of the archive. Answered when it is done; a start that succeeds replaces this console, and its answer may be lost",
        "security": [{"token": []}],
        "parameters": [
          {
            "name": "action",
            "in": "path",
            "required": true,
            "schema": {
              "type": "string",
              "enum": [
                "test",
                "start",
                "stop",
                "restart",
                "restart-node",
                "rebuild",
                "switchover",
                "restore"
              ]
            }
          },
          {
            "name": "node",
            "in": "query",
            "description": "Of restart-node, rebuild and switchover (default: replica)",
            "schema": {"type": "string"}
          },
          {
            "name": "confirm",
            "in": "query",
            "description": "Of rebuild and restore, which destroy data: the name of the cluster",
            "schema": {"type": "string"}
          },
          {
            "name": "type",
            "in": "query",
            "schema": {"type": "string", "enum": ["default", "immediate", "time", "name", "lsn", "xid"]}
          },
          {
            "name": "target",
            "in": "query",
            "schema": {"type": "string"},
            "example": "2026-11-22 14:05:00+00"
          },
          {
            "name": "set",
            "in": "query",
            "description": "A backup's label",
            "schema": {"type": "string"}
          }
        ],
        "responses": {
          "200": {
            "description": "What came of it",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Acted"}}}
          },
          "default": {"$ref": "#/components/responses/Error"},
          "401": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/api/v1/openapi.json": {
      "get": {
        "summary": "This",
        "responses": {
          "200": {
            "description": "OpenAPI 3.0",
            "content": {"application/json": {"schema": {"type": "object"}}}
          }
        }
      }
    },
    "/metrics": {
      "get": {
        "summary": "Prometheus text format",
        "responses": {
          "200": {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
        }
      }
    },
    "/healthz": {
      "get": {
        "summary": "Whether the console works; of the cluster it only says how it is",
        "responses": {
          "200": {
            "description": "It does",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
          },
          "503": {
            "description": "What it shows is old",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
          }
        }
      }
    }
  },
  "components": {
    "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    "responses": {
      "Error": {
        "description": "What is wrong",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
      }
    },
    "schemas": {
      "Error": {
        "type": "object",
        "required": ["error"],
        "additionalProperties": false,
        "properties": {
          "error": {
            "type": "object",
            "required": ["message", "hint"],
            "additionalProperties": false,
            "properties": {
              "message": {"type": "string"},
              "hint": {"type": "string", "description": "What to try; may be empty"}
            }
          }
        }
      },
      "PhaseTime": {
        "type": "object",
        "required": ["phase", "began_ms", "ended_ms"],
        "additionalProperties": false,
        "properties": {
          "phase": {
            "type": "string",
            "enum": [
              "preparing",
              "restoring",
              "recovering",
              "promoting",
              "configuring",
              "joining",
              "reindexing",
              "running",
              "stopping",
              "stopped",
              "failed"
            ]
          },
          "began_ms": {"type": "integer", "description": "Unix milliseconds"},
          "ended_ms": {"type": "integer", "description": "Unix milliseconds; 0: it goes on"}
        }
      },
      "Progress": {
        "type": "object",
        "required": [
          "files_total",
          "files_done",
          "bytes_total",
          "bytes_done",
          "bytes_kept",
          "fetched_total",
          "fetched",
          "requests",
          "workers"
        ],
        "additionalProperties": false,
        "properties": {
          "files_total": {"type": "integer"},
          "files_done": {"type": "integer"},
          "bytes_total": {"type": "integer", "description": "Plain bytes of one node"},
          "bytes_done": {"type": "integer"},
          "bytes_kept": {"type": "integer", "description": "Of those done: found right on disk"},
          "fetched_total": {"type": "integer", "description": "Stored bytes; 0 where it cannot be known"},
          "fetched": {"type": "integer"},
          "requests": {"type": "integer"},
          "workers": {
            "type": "array",
            "description": "What each worker does, while files are copied",
            "items": {
              "type": "object",
              "required": ["file", "bytes_done", "bytes_total", "files"],
              "additionalProperties": false,
              "properties": {
                "file": {
                  "type": "string",
                  "description": "The first of those on their way; empty: none that has a name"
                },
                "bytes_done": {"type": "integer"},
                "bytes_total": {"type": "integer"},
                "files": {"type": "integer", "description": "On their way at a time"}
              }
            }
          }
        }
      },
      "PastRestore": {
        "type": "object",
        "required": [
          "outcome",
          "error",
          "backup_label",
          "began_ms",
          "ended_ms",
          "phases",
          "progress",
          "retries",
          "throttled"
        ],
        "additionalProperties": false,
        "properties": {
          "outcome": {"type": "string", "enum": ["done", "failed", "stopped", "interrupted"]},
          "error": {"type": "string"},
          "backup_label": {"type": "string"},
          "began_ms": {"type": "integer", "description": "Unix milliseconds"},
          "ended_ms": {"type": "integer", "description": "Unix milliseconds"},
          "phases": {"type": "array", "items": {"$ref": "#/components/schemas/PhaseTime"}},
          "progress": {"$ref": "#/components/schemas/Progress"},
          "retries": {"type": "integer"},
          "throttled": {"type": "integer"}
        }
      },
      "RecoveryEnd": {
        "type": "object",
        "required": [
          "target",
          "timeline",
          "lsn",
          "last_commit_time",
          "newest_archived_wal",
          "last_replayed_wal",
          "wal_left",
          "before_target_us",
          "new_timeline",
          "fork_lsn"
        ],
        "additionalProperties": false,
        "properties": {
          "target": {"type": "string"},
          "timeline": {"type": "integer"},
          "lsn": {"type": "string"},
          "last_commit_time": {"type": "string"},
          "newest_archived_wal": {"type": "string"},
          "last_replayed_wal": {"type": "string"},
          "wal_left": {"type": "integer", "description": "Segments of the archive behind the last that was replayed"},
          "before_target_us": {
            "type": "integer",
            "nullable": true,
            "description": "From the last commit to a target that is a time, in microseconds"
          },
          "new_timeline": {"type": "integer"},
          "fork_lsn": {"type": "string"}
        },
        "nullable": true
      },
      "RequestReport": {
        "type": "object",
        "required": ["id", "act", "node", "state", "error", "began_ms", "ended_ms"],
        "additionalProperties": false,
        "properties": {
          "id": {"type": "string"},
          "act": {"type": "string", "enum": ["restart", "rebuild", "switchover"]},
          "node": {"type": "string"},
          "state": {"type": "string", "enum": ["working", "done", "failed"]},
          "error": {"type": "string"},
          "began_ms": {"type": "integer", "description": "Unix milliseconds"},
          "ended_ms": {"type": "integer", "description": "Unix milliseconds; 0: it goes on"}
        },
        "nullable": true,
        "description": "What a person asked for last, with one node"
      },
      "Supervisor": {
        "type": "object",
        "required": [
          "cluster_name",
          "pid",
          "phase",
          "phases",
          "restore",
          "restore_retries",
          "restore_throttled",
          "backup_label",
          "wal_segments_total",
          "wal_segments_done",
          "replay_lsn",
          "recovery_end",
          "reindex",
          "request",
          "error",
          "exit_code",
          "warnings",
          "dropped_settings",
          "restarts"
        ],
        "additionalProperties": false,
        "properties": {
          "cluster_name": {"type": "string"},
          "pid": {"type": "integer"},
          "phase": {
            "type": "string",
            "enum": [
              "preparing",
              "restoring",
              "recovering",
              "promoting",
              "configuring",
              "joining",
              "reindexing",
              "running",
              "stopping",
              "stopped",
              "failed"
            ]
          },
          "phases": {"type": "array", "items": {"$ref": "#/components/schemas/PhaseTime"}},
          "restore": {"$ref": "#/components/schemas/Progress"},
          "restore_retries": {"type": "integer", "description": "Requests to the storage that had to be made again"},
          "restore_throttled": {"type": "integer", "description": "Of those: because the storage asked for fewer"},
          "backup_label": {"type": "string"},
          "wal_segments_total": {"type": "integer", "description": "To replay; 0 while it is not known"},
          "wal_segments_done": {"type": "integer"},
          "replay_lsn": {"type": "string"},
          "recovery_end": {"$ref": "#/components/schemas/RecoveryEnd"},
          "reindex": {
            "type": "object",
            "required": ["indexes_total", "indexes_done", "now", "failures"],
            "additionalProperties": false,
            "properties": {
              "indexes_total": {"type": "integer"},
              "indexes_done": {"type": "integer"},
              "now": {"type": "string"},
              "failures": {"type": "array", "items": {"type": "string"}}
            },
            "nullable": true
          },
          "request": {"$ref": "#/components/schemas/RequestReport"},
          "error": {"type": "string"},
          "exit_code": {"type": "integer"},
          "warnings": {"type": "array", "items": {"type": "string"}},
          "dropped_settings": {"type": "array", "items": {"type": "string"}},
          "restarts": {"type": "integer", "description": "Servers that died and were started again"}
        }
      },
      "Node": {
        "type": "object",
        "required": [
          "name",
          "role",
          "port",
          "state",
          "pid",
          "version",
          "timeline",
          "lsn",
          "replication",
          "lag_bytes",
          "lag_seconds",
          "backup_label",
          "made_because",
          "data_directory",
          "data_bytes",
          "disk_free_bytes",
          "disk_total_bytes",
          "connections",
          "max_connections",
          "started_ms",
          "error"
        ],
        "additionalProperties": false,
        "properties": {
          "name": {"type": "string"},
          "role": {
            "type": "string",
            "description": "As the server says: primary, replica, recovering; empty: it does not answer"
          },
          "port": {"type": "integer"},
          "state": {"type": "string", "enum": ["accepting", "starting", "down", "not restored", "restoring"]},
          "pid": {"type": "integer"},
          "version": {"type": "string"},
          "timeline": {"type": "integer"},
          "lsn": {"type": "string", "description": "Written (primary) or replayed (replica)"},
          "replication": {"type": "string"},
          "lag_bytes": {"type": "integer", "nullable": true},
          "lag_seconds": {"type": "number", "nullable": true},
          "backup_label": {"type": "string"},
          "made_because": {"type": "string", "description": "Of a replica that was made anew: from what, and why"},
          "data_directory": {"type": "string"},
          "data_bytes": {"type": "integer"},
          "disk_free_bytes": {"type": "integer"},
          "disk_total_bytes": {"type": "integer"},
          "connections": {"type": "integer", "nullable": true},
          "max_connections": {"type": "integer", "nullable": true},
          "started_ms": {"type": "integer", "description": "Unix milliseconds; 0: not known"},
          "error": {"type": "string"}
        }
      },
      "Problem": {
        "type": "object",
        "required": ["id", "subject", "grave", "text", "remedy"],
        "additionalProperties": false,
        "properties": {
          "id": {"type": "string"},
          "subject": {"type": "string", "description": "A node; else empty"},
          "grave": {"type": "boolean"},
          "text": {"type": "string"},
          "remedy": {"type": "string"}
        }
      },
      "Status": {
        "type": "object",
        "required": [
          "cluster_name",
          "state_directory",
          "supervisor_running",
          "supervisor",
          "nodes",
          "left_out",
          "archiving",
          "archive",
          "archiving_ok",
          "archiver",
          "healthy",
          "problems",
          "restores",
          "console_url",
          "adminer_url",
          "adminer_answers",
          "collations"
        ],
        "additionalProperties": false,
        "properties": {
          "cluster_name": {"type": "string"},
          "state_directory": {"type": "string"},
          "supervisor_running": {"type": "boolean"},
          "supervisor": {"$ref": "#/components/schemas/Supervisor"},
          "nodes": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
          "left_out": {
            "type": "array",
            "items": {
              "type": "object",
              "required": ["oid", "name"],
              "additionalProperties": false,
              "properties": {"oid": {"type": "integer"}, "name": {"type": "string"}}
            }
          },
          "archiving": {"type": "string"},
          "archive": {"type": "string"},
          "archiving_ok": {"type": "boolean"},
          "archiver": {
            "type": "object",
            "required": ["archived", "failed", "last_archived_seconds_ago"],
            "additionalProperties": false,
            "properties": {
              "archived": {"type": "integer"},
              "failed": {"type": "integer"},
              "last_archived_seconds_ago": {"type": "number", "nullable": true}
            },
            "nullable": true
          },
          "healthy": {"type": "boolean"},
          "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
          "restores": {"type": "array", "items": {"$ref": "#/components/schemas/PastRestore"}},
          "console_url": {"type": "string"},
          "adminer_url": {"type": "string"},
          "adminer_answers": {"type": "boolean"},
          "collations": {
            "type": "object",
            "nullable": true,
            "description": "As `status --json` tells what depends on how this host orders texts"
          }
        }
      },
      "View": {
        "type": "object",
        "required": ["time_ms", "status", "pace"],
        "additionalProperties": false,
        "properties": {
          "time_ms": {"type": "integer", "description": "Unix milliseconds"},
          "status": {"$ref": "#/components/schemas/Status"},
          "pace": {
            "type": "object",
            "required": [
              "bytes_per_second",
              "average_bytes_per_second",
              "left_ms",
              "segments_per_second",
              "wal_left_ms"
            ],
            "additionalProperties": false,
            "properties": {
              "bytes_per_second": {"type": "number", "description": "Of the restore, over the last seconds"},
              "average_bytes_per_second": {"type": "number"},
              "left_ms": {"type": "integer", "nullable": true},
              "segments_per_second": {"type": "number"},
              "wal_left_ms": {"type": "integer", "nullable": true}
            }
          }
        }
      },
      "History": {
        "type": "object",
        "required": ["samples"],
        "additionalProperties": false,
        "properties": {
          "samples": {
            "type": "array",
            "items": {
              "type": "object",
              "required": ["time_ms", "nodes"],
              "additionalProperties": false,
              "properties": {
                "time_ms": {"type": "integer", "description": "Unix milliseconds"},
                "nodes": {
                  "type": "object",
                  "additionalProperties": {
                    "type": "object",
                    "required": ["lag_bytes", "lag_seconds"],
                    "additionalProperties": false,
                    "properties": {
                      "lag_bytes": {"type": "integer", "nullable": true},
                      "lag_seconds": {"type": "number", "nullable": true}
                    }
                  }
                }
              }
            }
          }
        }
      },
      "Repository": {
        "type": "object",
        "required": ["read_ms", "place", "error", "stanza", "recoverable"],
        "additionalProperties": false,
        "properties": {
          "read_ms": {"type": "integer", "description": "Unix milliseconds; 0: nobody looked yet"},
          "place": {"type": "string"},
          "error": {"type": "string", "description": "Why it could not be read"},
          "stanza": {
            "type": "object",
            "required": ["name", "status", "problem", "encrypted", "databases"],
            "additionalProperties": false,
            "properties": {
              "name": {"type": "string"},
              "status": {"type": "string"},
              "problem": {"type": "string"},
              "encrypted": {"type": "boolean"},
              "databases": {
                "type": "array",
                "items": {
                  "type": "object",
                  "required": ["archive_id", "current", "wal", "recovery_problem", "backups"],
                  "additionalProperties": false,
                  "properties": {
                    "archive_id": {"type": "string"},
                    "current": {"type": "boolean"},
                    "wal": {
                      "type": "object",
                      "required": ["first", "last"],
                      "additionalProperties": false,
                      "properties": {"first": {"type": "string"}, "last": {"type": "string"}},
                      "nullable": true
                    },
                    "recovery_problem": {"type": "string"},
                    "backups": {"type": "array", "items": {"$ref": "#/components/schemas/Backup"}}
                  }
                }
              }
            },
            "nullable": true
          },
          "recoverable": {
            "type": "object",
            "required": ["from", "to"],
            "additionalProperties": false,
            "properties": {
              "from": {"type": "integer", "description": "Unix seconds"},
              "to": {"type": "integer", "description": "Unix seconds; WAL mostly goes further"}
            },
            "nullable": true
          }
        }
      },
      "Backup": {
        "type": "object",
        "required": [
          "label",
          "type",
          "started",
          "stopped",
          "size",
          "repository_size",
          "prior",
          "wal_first",
          "wal_last",
          "page_errors",
          "recovery"
        ],
        "additionalProperties": false,
        "properties": {
          "label": {"type": "string"},
          "type": {"type": "string", "enum": ["full", "diff", "incr"]},
          "started": {"type": "integer", "description": "Unix seconds"},
          "stopped": {"type": "integer", "description": "Unix seconds"},
          "size": {"type": "integer"},
          "repository_size": {"type": "integer", "nullable": true},
          "prior": {"type": "string", "nullable": true, "description": "What it builds on"},
          "wal_first": {"type": "string", "description": "The first segment it needs; empty: none"},
          "wal_last": {"type": "string"},
          "page_errors": {"type": "boolean"},
          "recovery": {
            "type": "object",
            "required": ["from", "missing", "lines"],
            "additionalProperties": false,
            "properties": {
              "from": {"type": "integer", "description": "Unix seconds"},
              "missing": {"type": "string", "description": "A segment that it cannot do without; empty: none"},
              "lines": {
                "type": "array",
                "items": {
                  "type": "object",
                  "required": ["timeline", "last_segment", "end_lsn", "reaches", "gaps"],
                  "additionalProperties": false,
                  "properties": {
                    "timeline": {"type": "integer"},
                    "last_segment": {"type": "string"},
                    "end_lsn": {"type": "string"},
                    "reaches": {"type": "integer", "description": "Unix seconds"},
                    "gaps": {
                      "type": "array",
                      "items": {
                        "type": "object",
                        "required": ["first", "last", "segments"],
                        "additionalProperties": false,
                        "properties": {
                          "first": {"type": "string", "description": "The first segment that is missing"},
                          "last": {"type": "string"},
                          "segments": {"type": "integer"}
                        }
                      }
                    }
                  }
                }
              }
            },
            "nullable": true
          }
        }
      },
      "Preview": {
        "type": "object",
        "required": ["restores"],
        "additionalProperties": false,
        "properties": {
          "restores": {"type": "boolean"},
          "backup": {
            "type": "object",
            "required": ["label", "type", "stopped", "size"],
            "additionalProperties": false,
            "properties": {
              "label": {"type": "string"},
              "type": {"type": "string", "enum": ["full", "diff", "incr"]},
              "stopped": {"type": "integer", "description": "Unix seconds"},
              "size": {"type": "integer"}
            }
          },
          "repository": {"type": "string"},
          "target": {"type": "string"},
          "nodes": {"type": "integer"},
          "node_bytes": {"type": "integer"},
          "fetch_bytes": {"type": "integer"},
          "free_bytes": {"type": "integer"},
          "reachable": {"type": "boolean", "nullable": true, "description": "Null: only the replay will tell"},
          "problem": {
            "type": "object",
            "required": ["message", "hint"],
            "additionalProperties": false,
            "properties": {"message": {"type": "string"}, "hint": {"type": "string"}}
          },
          "point": {
            "type": "object",
            "required": ["what", "begin_lsn", "end_lsn", "time_us", "timeline", "again_lsn"],
            "additionalProperties": false,
            "properties": {
              "what": {"type": "string"},
              "begin_lsn": {"type": "string"},
              "end_lsn": {"type": "string"},
              "time_us": {"type": "integer", "nullable": true},
              "timeline": {"type": "integer"},
              "again_lsn": {"type": "string", "nullable": true}
            },
            "nullable": true
          },
          "timeline": {"type": "integer"},
          "wal": {
            "type": "object",
            "required": ["first", "last", "segments", "segment_size", "end_lsn", "gaps"],
            "additionalProperties": false,
            "properties": {
              "first": {"type": "string"},
              "last": {"type": "string"},
              "segments": {"type": "integer"},
              "segment_size": {"type": "integer"},
              "end_lsn": {"type": "string"},
              "gaps": {
                "type": "array",
                "items": {
                  "type": "object",
                  "required": ["first", "last", "segments"],
                  "additionalProperties": false,
                  "properties": {
                    "first": {"type": "string", "description": "The first segment that is missing"},
                    "last": {"type": "string"},
                    "segments": {"type": "integer"}
                  }
                }
              }
            }
          },
          "newest_transaction_us": {"type": "integer", "nullable": true},
          "sampled_bytes_per_second": {"type": "number", "nullable": true},
          "fetch_seconds": {"type": "integer", "nullable": true},
          "replay_seconds": {"type": "integer", "nullable": true}
        }
      },
      "Logs": {
        "type": "object",
        "required": ["of", "logs", "lines", "next"],
        "additionalProperties": false,
        "properties": {
          "of": {"type": "string"},
          "logs": {"type": "array", "items": {"type": "string"}, "description": "Those that there may be"},
          "lines": {"type": "array", "items": {"type": "string"}},
          "next": {"type": "integer", "description": "For `from`, to go on"}
        }
      },
      "Acted": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "done": {"type": "string"},
          "ran": {"type": "boolean", "description": "stop: whether something ran"},
          "output": {"type": "string", "description": "start, restart, restore: what the command said"},
          "request": {"$ref": "#/components/schemas/RequestReport"},
          "passed": {"type": "boolean", "description": "test"},
          "checks": {
            "type": "array",
            "items": {
              "type": "object",
              "required": ["name", "result", "detail"],
              "additionalProperties": false,
              "properties": {
                "name": {"type": "string"},
                "result": {"type": "string", "enum": ["passed", "failed", "not_applicable"]},
                "detail": {"type": "string"}
              }
            }
          }
        }
      },
      "Health": {
        "type": "object",
        "required": ["status", "cluster_healthy", "phase"],
        "additionalProperties": false,
        "properties": {
          "status": {"type": "string", "enum": ["ok", "stale"]},
          "cluster_healthy": {"type": "boolean"},
          "phase": {
            "type": "string",
            "enum": [
              "preparing",
              "restoring",
              "recovering",
              "promoting",
              "configuring",
              "joining",
              "reindexing",
              "running",
              "stopping",
              "stopped",
              "failed"
            ]
          }
        }
      }
    }
  }
}
)json";
}

}  // namespace pgrevive::console
