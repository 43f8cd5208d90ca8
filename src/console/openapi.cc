#include "console/console.h"

namespace pgrevive::console {

std::string openapi_text() {
  return R"({
  "openapi": "3.0.3",
  "info": {
    "title": "pgrevive console",
    "version": "1",
    "description": "Looking needs nothing. What changes the cluster is a POST with `Authorization: Bearer TOKEN`; `pgrevive console --token` prints the token."
  },
  "paths": {
    "/api/v1/status": {"get": {
      "summary": "The cluster as it was a moment ago",
      "responses": {"200": {"description": "`status` is what `pgrevive status --json` prints", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/View"}}}}}
    }},
    "/api/v1/events": {"get": {
      "summary": "The same as server-sent events of the name `status`, one now and one every second",
      "responses": {"200": {"description": "Each event's data is a View", "content": {"text/event-stream": {"schema": {"type": "string"}}}}}
    }},
    "/api/v1/history": {"get": {
      "summary": "The lag of each replica over the last quarter of an hour",
      "responses": {"200": {"description": "Samples, the oldest first", "content": {"application/json": {"schema": {"type": "object", "required": ["samples"], "properties": {"samples": {"type": "array", "items": {"type": "object"}}}}}}}}
    }},
    "/api/v1/repository": {"get": {
      "summary": "Backups, WAL, gaps, and the moments one can recover to, as they were when it was last read: every ten minutes, but while the cluster is brought up",
      "parameters": [
        {"name": "fresh", "in": "query", "description": "Read the repository now; needs X-Pgrevive", "schema": {"type": "string"}},
        {"name": "X-Pgrevive", "in": "header", "description": "With `fresh`: anything", "schema": {"type": "string"}, "example": "1"}
      ],
      "responses": {"200": {"description": "`read_ms` is 0 where it was not read yet; `error` says why it could not be", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Repository"}}}}}
    }},
    "/api/v1/preview": {"get": {
      "summary": "What `start --preview --json` says of a new cluster from the same source; one at a time, none while the cluster is brought up, and a search of the WAL ends after five minutes, with 503",
      "parameters": [
        {"name": "X-Pgrevive", "in": "header", "required": true, "description": "Anything", "schema": {"type": "string"}, "example": "1"},
        {"name": "type", "in": "query", "schema": {"type": "string", "enum": ["default", "immediate", "time", "name", "lsn", "xid"]}},
        {"name": "target", "in": "query", "schema": {"type": "string"}, "example": "2026-11-22 14:05:00+00"},
        {"name": "set", "in": "query", "description": "A backup's label", "schema": {"type": "string"}}
      ],
      "responses": {"200": {"description": "The preview", "content": {"application/json": {"schema": {"type": "object"}}}}, "default": {"$ref": "#/components/responses/Error"}}
    }},
    "/api/v1/logs": {"get": {
      "summary": "The last lines of the supervisor's log and of the restore's",
      "parameters": [{"name": "lines", "in": "query", "schema": {"type": "integer", "maximum": 200}}],
      "responses": {"200": {"description": "Lines", "content": {"application/json": {"schema": {"type": "object", "properties": {"supervisor": {"type": "array", "items": {"type": "string"}}, "restore": {"type": "array", "items": {"type": "string"}}}}}}}}
    }},
    "/api/v1/actions/{action}": {"post": {
      "summary": "What the commands of that name do, with the settings that the cluster has: a `.env` that was changed since is not read. Answered when it is done; a start that succeeds replaces this console, and its answer may be lost",
      "security": [{"token": []}],
      "parameters": [{"name": "action", "in": "path", "required": true, "schema": {"type": "string", "enum": ["test", "start", "stop", "restart"]}}],
      "responses": {"200": {"description": "What came of it", "content": {"application/json": {"schema": {"type": "object"}}}}, "401": {"$ref": "#/components/responses/Error"}, "default": {"$ref": "#/components/responses/Error"}}
    }},
    "/metrics": {"get": {
      "summary": "Prometheus text format",
      "responses": {"200": {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    }},
    "/healthz": {"get": {
      "summary": "Whether the console works; of the cluster it only says how it is",
      "responses": {"200": {"description": "It does"}, "503": {"description": "What it shows is old"}}
    }}
  },
  "components": {
    "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    "responses": {"Error": {"description": "What is wrong", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}},
    "schemas": {
      "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object", "required": ["message", "hint"], "properties": {"message": {"type": "string"}, "hint": {"type": "string"}}}}},
      "View": {"type": "object", "required": ["time_ms", "status", "pace"], "properties": {
        "time_ms": {"type": "integer"},
        "status": {"type": "object"},
        "pace": {"type": "object", "properties": {"bytes_per_second": {"type": "number"}, "average_bytes_per_second": {"type": "number"}, "left_ms": {"type": "integer", "nullable": true}, "segments_per_second": {"type": "number"}, "wal_left_ms": {"type": "integer", "nullable": true}}}
      }},
      "Repository": {"type": "object", "required": ["read_ms", "place", "error", "stanza", "recoverable"], "properties": {
        "read_ms": {"type": "integer"},
        "place": {"type": "string"},
        "error": {"type": "string"},
        "stanza": {"type": "object", "nullable": true},
        "recoverable": {"type": "object", "nullable": true, "properties": {"from": {"type": "integer"}, "to": {"type": "integer"}}}
      }}
    }
  }
}
)";
}

}  // namespace pgrevive::console
