"""Which page stands where."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from portal.api import api
from portal.views import (
    carbon,
    cluster,
    compare,
    energy,
    energy_jobs,
    factor_series,
    factors,
    front,
    health,
    job,
    jobs,
    methodology,
    node,
    operations,
    operations_batch,
    operations_coverage,
    operations_quarantine,
    operations_reconciliation,
    statement,
)
from portal.views.login import Login

urlpatterns = [
    path("", energy.home, name="energy"),
    path("energy/jobs/", energy_jobs.page, name="energy-jobs"),
    path("jobs/", jobs.page, name="jobs"),
    path("jobs.csv", jobs.export, name="jobs-csv"),
    path("jobs/compare/", compare.page, name="compare"),
    path("jobs/<str:cluster>/<str:job>/", job.page, name="job"),
    path("carbon/", carbon.page, name="carbon"),
    path("clusters/", cluster.clusters, name="clusters"),
    path("clusters/<str:name>/", cluster.page, name="cluster"),
    path("clusters/<str:cluster>/nodes/<path:node>/", node.page, name="node"),
    path("methodology/", methodology.page, name="methodology"),
    path("clusters/<str:name>/statement/<int:year>/", statement.page, name="statement"),
    path("clusters/<str:name>/statement/<int:year>/statement.csv", statement.table, name="statement-csv"),
    path("clusters/<str:name>/statement/<int:year>/close/", statement.close, name="statement-close"),
    path("operations/", operations.page, name="operations"),
    path("operations/batches/<int:batch>/", operations_batch.page, name="batch"),
    path("operations/batches/<int:batch>/refused-<int:reason>.txt", operations_batch.lines, name="refused-lines"),
    path("operations/quarantine/", operations_quarantine.page, name="quarantine"),
    path("operations/coverage/", operations_coverage.page, name="coverage"),
    path("operations/coverage.csv", operations_coverage.table, name="coverage-csv"),
    path("operations/reconciliation/", operations_reconciliation.page, name="reconciliation"),
    path("operations/reconciliation.csv", operations_reconciliation.table, name="reconciliation-csv"),
    path("operations/factors/", factors.page, name="factors"),
    path("operations/factors/declare/<slug:kind>/", factors.declare, name="declare"),
    path("operations/factors/series/", factor_series.page, name="factor-series"),
    path("operations/factors/series/<slug:slug>/", factor_series.one, name="series"),
    path("demo/look-as/", front.look_as, name="look-as"),
    path("demo/stories/<slug:slug>/", front.story, name="story"),
    path("login/", Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("language/", include("django.conf.urls.i18n")),
    path("livez", health.live, name="livez"),
    path("readyz", health.ready, name="readyz"),
    path("api/v1/", api.urls),
    path("admin/", admin.site.urls),
]
