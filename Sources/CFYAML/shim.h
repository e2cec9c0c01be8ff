#ifndef CFYAML_SHIM_H
#define CFYAML_SHIM_H

#include <libfyaml.h>
#include <stddef.h>

// Anonymous unions and option structs of libfyaml are awkward from Swift, so this header flattens what
// the configuration reader needs: make a quiet parser, look at one event, look at one collected error.

// A diagnostics object that collects errors instead of printing them. NULL when there is no memory.
static inline struct fy_diag *cfyaml_collecting_diagnostics(void) {
    struct fy_diag_cfg cfg;
    fy_diag_cfg_default(&cfg);
    cfg.fp = NULL;
    cfg.level = FYET_ERROR;
    struct fy_diag *diag = fy_diag_create(&cfg);
    if (diag != NULL) fy_diag_set_collect_errors(diag, true);
    return diag;
}

// A parser over `length` bytes at `text`, which must stay in place until the parser is destroyed.
static inline struct fy_parser *cfyaml_parser(const char *text, size_t length, struct fy_diag *diag) {
    struct fy_parse_cfg cfg = {0};
    cfg.flags = (enum fy_parse_cfg_flags)(FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE);
    cfg.diag = diag;
    struct fy_parser *parser = fy_parser_create(&cfg);
    if (parser == NULL) return NULL;
    if (fy_parser_set_string(parser, text, length) != 0) {
        fy_parser_destroy(parser);
        return NULL;
    }
    return parser;
}

// What one event says. Text is borrowed until the event is freed. Lines and columns count from 1, 0 is unknown.
struct cfyaml_event {
    int type;
    const char *text;
    size_t text_length;
    const char *anchor;
    size_t anchor_length;
    int line;
    int column;
    int is_plain;
    int has_tag;
};

static inline struct cfyaml_event cfyaml_describe(struct fy_event *event) {
    struct cfyaml_event out = {0};
    out.type = (int)event->type;
    struct fy_token *token = NULL, *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case FYET_SCALAR:
        token = event->scalar.value;
        anchor = event->scalar.anchor;
        tag = event->scalar.tag;
        break;
    case FYET_ALIAS:
        token = event->alias.anchor;
        break;
    case FYET_MAPPING_START:
        token = event->mapping_start.mapping_start;
        anchor = event->mapping_start.anchor;
        tag = event->mapping_start.tag;
        break;
    case FYET_SEQUENCE_START:
        token = event->sequence_start.sequence_start;
        anchor = event->sequence_start.anchor;
        tag = event->sequence_start.tag;
        break;
    default:
        break;
    }
    if (token != NULL) {
        const struct fy_mark *mark = fy_token_start_mark(token);
        if (mark != NULL) {
            out.line = mark->line + 1;
            out.column = mark->column + 1;
        }
    }
    if (event->type == FYET_SCALAR && token != NULL && out.column > 1) {
        // The library's mark stands behind the opening quote; people look for the quote itself.
        enum fy_scalar_style style = fy_token_scalar_style(token);
        if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) out.column -= 1;
    }
    // A missing value has no token at all and counts as plain.
    out.is_plain = token == NULL || (event->type == FYET_SCALAR && fy_token_scalar_style(token) == FYSS_PLAIN);
    if (token != NULL && (event->type == FYET_SCALAR || event->type == FYET_ALIAS))
        out.text = fy_token_get_text(token, &out.text_length);
    if (anchor != NULL) out.anchor = fy_token_get_text(anchor, &out.anchor_length);
    out.has_tag = tag != NULL;
    return out;
}

#endif
