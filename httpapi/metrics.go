package httpapi

func metricsRoutes() []route { return nil }
