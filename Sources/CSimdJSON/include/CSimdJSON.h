// The C face of simdjson's on-demand parser: one document in, one flat array of nodes out.
//
// The parser copies its input (simdjson reads past the end of it), so nodes stay valid until the next parse or until
// the parser is destroyed, whatever happens to the caller's bytes. Nothing here throws and nothing here logs.

#ifndef RELAYGATE_CSIMDJSON_H
#define RELAYGATE_CSIMDJSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rg_json_parser rg_json_parser;

/// The kind of a value.
enum {
    RG_JSON_NULL = 0,
    RG_JSON_FALSE = 1,
    RG_JSON_TRUE = 2,
    RG_JSON_NUMBER = 3,
    RG_JSON_STRING = 4,
    RG_JSON_ARRAY = 5,
    RG_JSON_OBJECT = 6,
};

/// What is known about a number beyond its text.
enum {
    /// `integer` holds exactly the number that was written.
    RG_JSON_IS_INTEGER = 1,
    /// `number` holds the nearest finite double. Without it the number is beyond the range of a double.
    RG_JSON_IS_FINITE = 2,
};

/// How a parse ended.
enum {
    RG_JSON_OK = 0,
    RG_JSON_SYNTAX = 1,
    RG_JSON_UTF8 = 2,
    RG_JSON_DEPTH = 3,
    RG_JSON_TOO_LONG = 4,
    RG_JSON_MEMORY = 5,
    RG_JSON_NOT_CONTAINER = 6,
};

/// One value. Nodes stand in document order: the first child of a container is the next node, and `next` jumps over all
/// of its descendants.
typedef struct rg_json_node {
    /// The unescaped key when the parent is an object, otherwise null.
    const uint8_t *key;
    /// The unescaped bytes of a string, otherwise null.
    const uint8_t *text;
    int64_t integer;
    double number;
    uint32_t key_length;
    uint32_t text_length;
    /// The value as it was written, white space around it left out: offset and length in the input.
    uint32_t raw_offset;
    uint32_t raw_length;
    /// Index of the node behind this one and its descendants.
    uint32_t next;
    /// Number of direct children.
    uint32_t count;
    uint8_t kind;
    uint8_t flags;
} rg_json_node;

/// The deepest nesting that is accepted; the outermost object is level 1.
enum { RG_JSON_DEPTH_LIMIT = 64 };

/// Returns a parser without any buffer yet, or null when memory is short.
rg_json_parser *rg_json_create(void);

/// Frees the parser and everything its nodes point to.
void rg_json_destroy(rg_json_parser *parser);

/// Parses one object or array and validates all of it, UTF-8 included. Returns `RG_JSON_OK` or a reason from above.
int rg_json_parse(rg_json_parser *parser, const uint8_t *input, size_t length);

/// The nodes of the last parse that succeeded; null after one that failed.
const rg_json_node *rg_json_nodes(const rg_json_parser *parser);

/// The parser's own copy of the input, to which `raw_offset` refers.
const uint8_t *rg_json_input(const rg_json_parser *parser);

/// Where the last parse failed, in bytes from the start of the input; the best position that is known.
size_t rg_json_error_offset(const rg_json_parser *parser);

/// Gives back buffers that one very large document made grow beyond `limit` bytes.
void rg_json_shrink(rg_json_parser *parser, size_t limit);

#ifdef __cplusplus
}
#endif

#endif
