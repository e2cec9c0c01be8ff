// libpq, the reference client of PostgreSQL. Pipeline mode needs version 14 or later.
#ifndef RELAYGATE_CPOSTGRES_H
#define RELAYGATE_CPOSTGRES_H

#include <libpq-fe.h>

#ifndef LIBPQ_HAS_PIPELINING
#error "libpq 14 or later is needed"
#endif

#endif
