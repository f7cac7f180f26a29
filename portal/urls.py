"""Which page stands where."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from portal.views import energy, job
from portal.views.login import Login

urlpatterns = [
    path("", energy.page, name="energy"),
    path("jobs/<str:cluster>/<str:job>/", job.page, name="job"),
    path("login/", Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("language/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
]
