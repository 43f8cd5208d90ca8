# The image of the cluster in containers (docker-compose.yml), usable alone too:
#
#   docker build -t pgrevive .                                  PostgreSQL 15
#   docker build -t pgrevive --build-arg POSTGRES_MAJOR=17 .    another major, from apt.postgresql.org,
#     or from where --build-arg POSTGRES_APT="deb [...] URI SUITE COMPONENTS" says
#   docker run --rm --env-file s3.env pgrevive info
#
# Two stages make it: what runs, and what compiles. No secret is an argument of any.

FROM debian:bookworm-slim AS runtime
# Of the databases in the backup, as they are called there; more with blanks between them.
ARG LOCALES="en_US.UTF-8 pt_BR.UTF-8"

# The user has the ids that other images of PostgreSQL give it, for volumes and mounted repositories.
RUN groupadd --system --gid 999 postgres \
 && useradd --system --uid 999 --gid postgres --home-dir /var/lib/postgresql --shell /bin/bash postgres

COPY docker/make-locales /usr/local/sbin/
# What is the same for all majors. No cluster of Debian's own: ours are made by pgrevive.
RUN set -eu; export DEBIAN_FRONTEND=noninteractive; \
    mkdir -p /etc/postgresql-common/createcluster.d; \
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/pgrevive.conf; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates tzdata locales postgresql-common \
        adminer php-cli php-cgi php-pgsql \
        libcurl4 libssl3 libisal2 zlib1g libzstd1 liblz4-1 libbz2-1.0 libxxhash0 liburing2 libpq5 \
        libfmt9 libpugixml1v5 libdate-tz3; \
    make-locales $LOCALES; \
    apt-get clean; \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc /usr/share/man

ARG POSTGRES_MAJOR=15
ARG POSTGRES_APT=""
# What else the databases need, such as postgresql-15-postgis-3; more with blanks between them.
ARG PACKAGES=""
# A user's name and password would stay in what the image says of how it was made.
RUN if echo "$POSTGRES_APT" | grep -Eq '://[^/[:blank:]]*@'; then \
        echo "error: POSTGRES_APT names a user, and whoever has the image could read it" >&2; \
        echo "  hint: name a mirror that asks for no password" >&2; \
        exit 21; \
    fi
# What the package of pgBackRest brings as its configuration would stand before nothing and name
# directories that are not there.
RUN set -eu; export DEBIAN_FRONTEND=noninteractive; \
    if [ -n "$POSTGRES_APT" ]; then echo "$POSTGRES_APT" >/etc/apt/sources.list.d/postgres.list; \
    elif [ "$POSTGRES_MAJOR" != 15 ]; then \
        /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y || true; \
    fi; \
    apt-get update; \
    if ! apt-get install -y --no-install-recommends "postgresql-$POSTGRES_MAJOR" pgbackrest $PACKAGES; then \
        echo "error: there is no PostgreSQL '$POSTGRES_MAJOR'${PACKAGES:+ with $PACKAGES} to be had" >&2; \
        echo "  hint: Debian has 15, apt.postgresql.org the others that are maintained; where that" \
            "cannot be reached, name a mirror with POSTGRES_APT" >&2; \
        exit 29; \
    fi; \
    apt-get clean; \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc /usr/share/man \
        /etc/pgbackrest.conf

# docker/env is where settings are looked for; it is empty and Compose lays .env over it.
COPY docker/env /etc/pgrevive/env
RUN mkdir -p /pgrevive /var/lib/postgresql/data /var/log/pgbackrest /etc/pgbackrest /run/pgrevive \
 && chown postgres:postgres /var/lib/postgresql /var/lib/postgresql/data /var/log/pgbackrest \
        /etc/pgbackrest /run/pgrevive \
 && install -d -o postgres -g postgres -m 2775 /var/run/postgresql

# Settings may also be variables of the environment, and secrets files that NAME_FILE names.
ENV PGREVIVE_ENV_FILE=/etc/pgrevive/env PGREVIVE_ENVIRONMENT=1 \
    PATH=/usr/lib/postgresql/$POSTGRES_MAJOR/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PGDATA=/var/lib/postgresql/data/pgdata LANG=C.UTF-8
# To a server: a fast shutdown. SIGTERM is a smart one, which waits for its clients.
STOPSIGNAL SIGINT
EXPOSE 5432 8080
ENTRYPOINT ["pgrevive"]
CMD ["help"]


FROM debian:bookworm-slim AS compiler
COPY scripts/install-packages.sh /src/scripts/
RUN /src/scripts/install-packages.sh build-program page
COPY CMakeLists.txt CMakePresets.json /src/
COPY cmake /src/cmake
COPY src /src/src
# Where npm's packages cannot be had this fails, first of all; with --build-arg PAGE=OFF the console has
# no page.
ARG PAGE=REQUIRED
RUN cd /src && cmake --preset release -D PGREVIVE_PAGE=$PAGE \
 && cmake --build --preset release --target page \
 && cmake --build --preset release --target pgrevive \
 && install -s -D -t /out build/release/pgrevive build/release/pgrevive-archive-get


FROM runtime
COPY --from=compiler /out/ /usr/local/bin/
