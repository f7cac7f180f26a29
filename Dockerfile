# One image for all: web, workers, beat and the commands. Nothing is written outside /var/lib/joulebook and /tmp, so that
# the rest may be mounted read-only; nothing runs as root.
FROM python:3.12-slim AS dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/joulebook
COPY requirements.lock /tmp/requirements.lock
RUN /opt/joulebook/bin/pip install --require-hashes --only-binary :all: -r /tmp/requirements.lock \
    && /opt/joulebook/bin/python -m compileall -q /opt/joulebook/lib

FROM python:3.12-slim
RUN groupadd --gid 10001 joulebook \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/joulebook --shell /usr/sbin/nologin joulebook \
    && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/joulebook
COPY --from=dependencies /opt/joulebook /opt/joulebook
WORKDIR /srv/joulebook
COPY manage.py pyproject.toml CHANGELOG.md ./
COPY measurements ./measurements
COPY portal ./portal
COPY workers ./workers
COPY templates ./templates
COPY static ./static
RUN /opt/joulebook/bin/python -m compileall -q .
ENV PATH=/opt/joulebook/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    JOULEBOOK_VAR=/var/lib/joulebook
USER 10001:10001
VOLUME /var/lib/joulebook
EXPOSE 8000
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "--workers", "1", "--threads", "8", "--no-control-socket", "portal.wsgi"]
